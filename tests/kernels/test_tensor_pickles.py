"""The paper's `.pt` files, forged: no program, and no memory for a number that stands in one."""

import io
import pickletools
import zipfile

import pytest
import torch

from swift_kernels import RewardHead
from swift_kernels.tensor_pickles import read_tensor_pickle

TENSORS = {"fused_layer.weight": torch.arange(24.0).view(2, 12), "fused_layer.bias": torch.ones(2)}


def saved(content: object, *, is_legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not is_legacy)
    return buffer.getvalue()


def zipped(content: bytes, change=lambda name, member: member, **options) -> bytes:
    """The members of a zip after a change of each."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", **options) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def with_number(pickled: bytes, old: int, new: int) -> bytes:
    """Each whole number `old` of a pickle is `new`."""
    number = b"\x8a\x08" + new.to_bytes(8, "little", signed=True)
    steps = [*pickletools.genops(pickled), (None, None, len(pickled))]
    pieces = [
        number if argument == old and step.name == "BININT1" else pickled[start:end]
        for (step, argument, start), (_, _, end) in zip(steps, steps[1:], strict=False)
    ]
    return b"".join(pieces)


@pytest.fixture
def read(tmp_path):
    def read(content: bytes):
        path = tmp_path / "head.pt"
        path.write_bytes(content)
        return RewardHead.from_reference_checkpoint(path, 3, 4)

    return read


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", [torch.clone, torch.nn.Parameter])
def test_what_torch_saves(kind, is_legacy, tmp_path):
    path = tmp_path / "head.pt"
    path.write_bytes(saved({n: kind(t) for n, t in TENSORS.items()}, is_legacy=is_legacy))
    for name, tensor in read_tensor_pickle(path).items():
        assert torch.equal(tensor, TENSORS[name])


@pytest.mark.parametrize("number", [10**10, 2**40, -(2**40)])
@pytest.mark.parametrize("old", [24, 12], ids=["storage", "shape"])
def test_numbers_larger_than_the_file(old, number, read):
    forge = {"data.pkl": lambda pickled: with_number(pickled, old, number)}
    content = zipped(
        saved(TENSORS), lambda name, member: forge.get(name[-8:], lambda same: same)(member)
    )
    with pytest.raises(ValueError, match="head.pt is not a checkpoint|in .*head.pt"):
        read(content)


@pytest.mark.parametrize("number", [25, 500, 60_000])
def test_a_tensor_larger_than_its_bytes(number, read):
    """Some versions of PyTorch read on behind them."""

    def forge(name: str, member: bytes) -> bytes:
        return with_number(member, 24, number) if name.endswith("data.pkl") else member

    head = None
    try:
        head = read(zipped(saved(TENSORS), forge))
    except ValueError as error:
        assert "head.pt is not a checkpoint of tensors alone" in str(error)
    if head is not None:  # the numbers that are there are those that were saved
        assert torch.equal(head.reward_weight.flatten(), TENSORS["fused_layer.weight"][1])


def test_a_legacy_file_of_large_storages(read):
    content = saved(TENSORS, is_legacy=True).replace(b"K\x18", b"J\0\0\0\x7f", 1)
    with pytest.raises(ValueError, match="it says 2130706432, more than it has bytes"):
        read(content)


def test_compressed_members(read):
    zeros = {"fused_layer.weight": torch.zeros(2, 1_000_000), "fused_layer.bias": torch.ones(2)}
    content = zipped(saved(zeros), compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 20_000
    with pytest.raises(ValueError, match="it is compressed, which torch.save never does"):
        read(content)


def test_members_that_share_bytes(read):
    content = saved(TENSORS)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        size = max(member.file_size for member in file.infolist()).to_bytes(4, "little")
    place = content.index(b"PK\x01\x02")  # of the first member in the list at the end
    large = len(content).to_bytes(4, "little")
    content = content[:place] + content[place:].replace(size, large)
    with pytest.raises(ValueError, match="head.pt is not a checkpoint of tensors alone"):
        read(content)


OTHERS = {
    "meta": TENSORS["fused_layer.weight"].to("meta"),
    "sparse": TENSORS["fused_layer.weight"].to_sparse(),
    "quantized": torch.quantize_per_tensor(torch.ones(2, 12), 0.1, 0, torch.qint8),
    "buffer": bytearray(9),
    "size": torch.Size((2, 12)),
    "device": torch.device("cpu"),
}


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_plain_tensor(kind, is_legacy, read):
    content = saved({**TENSORS, "fused_layer.weight": OTHERS[kind]}, is_legacy=is_legacy)
    with pytest.raises(ValueError, match=r"head.pt is not a checkpoint of .* \(it asks for"):
        read(content)


def test_names_of_any_type(read):
    with pytest.raises(ValueError, match=r"head.pt holds the tensors \['3', 'x'\], expected"):
        read(saved({3: torch.ones(1), "x": torch.ones(2)}))
