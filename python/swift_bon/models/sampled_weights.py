"""What a model's weights are, in some thousand characters: sampled values of every tensor.

Values, not a checksum: the same weights in bfloat16 and in float32 are to be known for the same.
They are read anew each time, in one copy from each device, so that what training, `set_adapter` or
a merge did to the model is seen; a walk over the modules is all that it takes.
"""

import base64
import binascii
import functools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Parameter

from swift_bon.models.named_tensors import Adapter, added_values, prompt_weights, walk
from swift_bon.storage import short_digest

FORMAT = "1"
NUM_SAMPLES = 4  # of each tensor
NUM_PROBES = 16  # of each, for a digest
LARGEST_SAMPLES = 64  # that a file may ask for
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
PLAIN = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
PRIME_SHARE = 47, 256  # of a tensor between two samples; odd steps meet other columns each time

# What a row of values is of. A key is the checksum of a tensor's name, with one of these.
WEIGHT, QUANTIZED, EFFECT = 0, 1, 2
Part = tuple[int | None, str]  # a kind, or None, and a name


class Fingerprint(NamedTuple):
    """Sampled values of the tensors of a model, by the checksum of their names."""

    weights: dict[int, Tensor]  # [NUM_SAMPLES] float32 each
    quantized: dict[int, Tensor]  # of tensors that hold no plain numbers: as they are stored
    effects: dict[int, Tensor]  # what active adapters add to a tensor
    names: Mapping[int, str]  # of the keys; empty where it was read from a file


_known: WeakKeyDictionary[Any, tuple[object, Fingerprint]] = WeakKeyDictionary()


def fingerprint(model: Any) -> str:
    """Sampled values of every tensor of a model, as a head keeps them in its config.json.

    Under the names of the bare model, so that it is the same behind `torch.compile` and adapters
    without effect. What adapters add is kept beside the weights. Tensors that are not in memory,
    as they are offloaded, are left out.

    >>> from swift_bon import load_head, load_model
    >>> from swift_bon.models import fingerprint
    >>> model, tokenizer = load_model()
    >>> head = load_head()
    >>> head.base_model_fingerprint = fingerprint(model)  # for a head that has none yet
    """
    return encode(take_fingerprint(model))


@torch.no_grad()
def take_fingerprint(model: Any) -> Fingerprint:
    """As `fingerprint`, not yet written down."""
    whole, adapters = walk(model)
    parts: dict[Part, Tensor] = {
        (WEIGHT if is_plain else QUANTIZED, name): part
        for whole_name, tensor in whole.items()
        for name, part, is_plain in _parts(whole_name, tensor)
    }
    # of adapters, only to see whether they are as they were
    parts |= {(EFFECT, name): tensor for name, tensor in prompt_weights(model).items()}
    parts |= {
        (None, f"{index} {name}"): tensor
        for index, adapter in enumerate(adapters)
        for name, tensor in adapter.parameters.items()
    }
    parts = {key: part for key, part in parts.items() if not part.is_meta and part.numel()}
    values = _sample(list(parts.values()))
    state = tuple(parts), values.numpy().tobytes(), [adapter.state for adapter in adapters]
    known = _known.get(model)
    if known is None or known[0] != state:
        known = state, _sort(zip(parts, values, strict=True), adapters)
        _known[model] = known
    return known[1]


def _sort(rows: Iterable[tuple[Part, Tensor]], adapters: Sequence[Adapter]) -> Fingerprint:
    """The sampled rows by kind, with what the adapters add."""
    rows_of: dict[int, dict[int, Tensor]] = {WEIGHT: {}, QUANTIZED: {}, EFFECT: {}}
    names: dict[int, str] = {}
    added = [added_values(adapter, positions) or {} for adapter in adapters]
    named = [(kind, name, row) for (kind, name), row in rows if kind is not None]
    named += [(EFFECT, name, row) for values in added for name, row in values.items()]
    for kind, name, row in named:
        rows_of[kind][_key(name)] = row
        names[_key(name)] = name
    return Fingerprint(rows_of[WEIGHT], rows_of[QUANTIZED], rows_of[EFFECT], names)


def _parts(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor, bool]]:
    """The tensors that one is made of, and whether they hold the model's numbers themselves.

    A quantised one may be a class of its own, around the tensors that it keeps its numbers in, or
    around another such class.
    """
    if not hasattr(tensor, "__tensor_flatten__"):
        yield name, tensor, tensor.dtype in PLAIN
        return
    for part in tensor.__tensor_flatten__()[0]:
        for inner_name, inner, _ in _parts(f"{name}.{part}", getattr(tensor, part)):
            yield inner_name, inner, False


def _key(name: str) -> int:
    return zlib.crc32(name.encode()) & ~3  # two bits are left for the kind


def positions(num_values: int) -> Sequence[int]:
    """Where the samples lie in a flattened tensor.

    Within the largest power of two that fits in, so that rows which were added for new tokens
    change nothing until there are as many values as the next one.
    """
    room = 1 << (num_values.bit_length() - 1)
    step = room * PRIME_SHARE[0] // PRIME_SHARE[1] | 1
    if room <= (NUM_SAMPLES - 1) * step:  # a few numbers: the first, as often
        return (0,) * NUM_SAMPLES
    start = (room - (NUM_SAMPLES - 1) * step) // 2
    return range(start, start + NUM_SAMPLES * step, step)


def _sample(tensors: Sequence[Tensor]) -> Tensor:
    """`[tensors, NUM_SAMPLES]` float32, on the CPU, with one copy for each device and dtype."""
    values = torch.empty(len(tensors), NUM_SAMPLES, dtype=torch.float32, device="cpu")
    groups: dict[tuple, list[int]] = {}
    for index, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype), []).append(index)
    for members in groups.values():
        picked = torch.cat([_pick(tensors[index]) for index in members])
        rows = torch.tensor(members, dtype=torch.int64, device="cpu")
        values[rows] = picked.to("cpu", torch.float32).view(-1, NUM_SAMPLES)
    return values


def _pick(tensor: Tensor) -> Tensor:
    """Of a large contiguous tensor a view, so that a thousand of them are copied at once."""
    where = positions(tensor.numel())
    if isinstance(where, range) and tensor.is_contiguous():
        return tensor.detach().view(-1)[where.start : where.stop : where.step]
    index = torch.tensor(where, dtype=torch.int64, device=tensor.device)
    return tensor[torch.unravel_index(index, tensor.shape)]


def encode(taken: Fingerprint) -> str:
    """As text: the format, the values' dtype, how many of each tensor, and rows in base64."""
    rows = {
        key | kind: row
        for kind, part in ((WEIGHT, taken.weights), (QUANTIZED, taken.quantized))
        for key, row in part.items()
    } | {key | EFFECT: row for key, row in taken.effects.items()}
    nothing = torch.empty(0, NUM_SAMPLES, dtype=torch.float32, device="cpu")
    values = torch.stack(list(rows.values())) if rows else nothing
    dtype = next(name for name, kind in DTYPES.items() if bool(is_exact(values, kind).all()))
    keys = torch.tensor(list(rows), dtype=torch.int64, device="cpu").to(torch.uint32)
    content = keys.numpy().tobytes()
    content += values.to(DTYPES[dtype]).view(torch.uint8).numpy().tobytes()
    return " ".join((FORMAT, dtype, str(NUM_SAMPLES), base64.b64encode(content).decode()))


@functools.lru_cache(maxsize=64)
def decode(text: str) -> Fingerprint:
    """What `encode` wrote, or a file says that it did.

    Raises:
        ValueError: it is damaged, or of a later version.
    """
    try:
        if not isinstance(text, str):
            raise ValueError(f"it is {type(text).__name__}, expected text")
        version, dtype_name, num_samples, content = text.split(" ")
        if version != FORMAT:
            raise ValueError(f"its format is {version:.20}, expected {FORMAT}")
        dtype, count = DTYPES[dtype_name], int(num_samples)
        if not 1 <= count <= LARGEST_SAMPLES:
            raise ValueError(f"it has {count} values of each tensor")
        packed = bytearray(base64.b64decode(content, validate=True))
        num_rows, rest = divmod(len(packed), 4 + count * dtype.itemsize)
        if rest:
            raise ValueError("it was cut")
    except (ValueError, KeyError, binascii.Error) as error:
        raise ValueError(
            f"the fingerprint of a model is damaged or of a later version ({error}); make it anew "
            "with swift_bon.models.fingerprint(model)"
        ) from error
    found = Fingerprint({}, {}, {}, {})
    if num_rows:
        keys = torch.frombuffer(packed, dtype=torch.uint32, count=num_rows).tolist()
        values = torch.frombuffer(packed, dtype=dtype, offset=4 * num_rows)
        for key, row in zip(keys, values.float().view(num_rows, count), strict=True):
            part = {WEIGHT: found.weights, QUANTIZED: found.quantized, EFFECT: found.effects}
            part.get(key & 3, {})[key & ~3] = row
    return found


def is_exact(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Of each value whether the dtype holds it as it is."""
    held = values.to(dtype).to(values.dtype)
    return (held == values) | values.isnan()


def weights_digest(model: Any) -> str:
    """Tells two checkpoints of one name apart, to the last bit: of a few values of every parameter.

    Of parameters that are not in memory (on the device "meta", where weights are offloaded) only
    names and shapes.
    """
    return short_digest(*_probes(model))


def _probes(model: Any) -> Iterator[str | bytes]:
    tensors, _ = walk(model)
    parameters = {id(t): (n, t) for n, t in reversed(tensors.items()) if isinstance(t, Parameter)}
    for whole_name, parameter in reversed(parameters.values()):
        for name, part, _ in _parts(whole_name, parameter):
            yield f"{name}{tuple(part.shape)}"
            if part.is_meta:
                continue
            values = part.detach().flatten()
            step = max(1, len(values) // NUM_PROBES)
            yield values[::step].float().cpu().numpy().tobytes()
    taken = take_fingerprint(model)
    for key, row in taken.effects.items():
        yield taken.names[key]
        yield row.numpy().tobytes()
