"""A fit on disk between two epochs, so that a killed one goes on with the next."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from swift_bon.features.model_features import ModelFeatures
from swift_bon.features.tensor_files import tensor_sha256, write_tensors
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.history import Fit
from swift_bon.storage import parse_json, sha256, with_checksum, without_checksum

CHECKPOINT_NAME = "fit-checkpoint.safetensors"
SLOT = "optimizer.{index}.{name}"


def fit_digest(fitting: HeadFitting) -> str:
    """Of all that decides how a fit goes on: options, features, labels."""
    spec = asdict(fitting.source.spec) | {"projection": None}
    del spec["fingerprint"]  # what a fit of an older version has not
    labels = [row.tolist() for row in fitting.labels.correct]
    sides = fitting.labels.is_validation
    shards = [list(shard) for shard in fitting.source.shards]
    content = json.dumps([asdict(fitting.options), spec, labels, sides, shards], sort_keys=True)
    if isinstance(fitting.source, ModelFeatures):  # a model may give other digits each time
        return sha256(content)
    # moments differ where any state does
    return sha256(content, *(tensor.numpy().tobytes() for tensor in fitting.moments))


def save_checkpoint(folder: Path, fitting: HeadFitting) -> None:
    """Replace the checkpoint of the epoch before; it is whole or the old one."""
    tensors = {f"stack.{name}": value for name, value in fitting.stack.state_dict().items()}
    tensors |= {f"best.{index}": value for index, value in enumerate(fitting.best)}
    for index, slots in fitting.optimizer.state_dict()["state"].items():
        tensors |= {SLOT.format(index=index, name=name): slot for name, slot in slots.items()}
    tensors = {name: value.detach().cpu() for name, value in tensors.items()}
    record = {
        "digest": fit_digest(fitting),
        "fits": [asdict(fit) for fit in fitting.fits],
        "sha256": {name: tensor_sha256(value) for name, value in tensors.items()},
    }
    metadata = {"fit": json.dumps(with_checksum(record))}
    write_tensors(folder / CHECKPOINT_NAME, tensors, metadata)


def load_checkpoint(folder: Path, fitting: HeadFitting) -> bool:
    """Put a new fit where the checkpoint stands; False where there is none of the same fit.

    A checkpoint of other options or other data is of no use here, nor is a damaged one: the fit
    then starts from the beginning.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            record = without_checksum(parse_json(file.metadata()["fit"]))
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        checksums = {name: tensor_sha256(value) for name, value in tensors.items()}
        digest, expected = record["digest"], record["sha256"]
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError):
        return False  # damaged, or no checkpoint at all
    if digest != fit_digest(fitting) or checksums != expected:
        return False
    _restore(fitting, tensors)
    fitting.fits = [Fit(**fit) for fit in record["fits"]]
    return True


def _restore(fitting: HeadFitting, tensors: dict[str, Tensor]) -> None:
    groups: dict[str, dict[str, Tensor]] = {"stack": {}, "best": {}, "optimizer": {}}
    for name, value in tensors.items():
        group, rest = name.split(".", 1)
        groups[group][rest] = value
    fitting.stack.load_state_dict(groups["stack"])  # puts each on its device, as the optimizer
    best = groups["best"]
    fitting.best = [best[str(index)].to(fitting.device) for index in range(len(fitting.best))]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in groups["optimizer"].items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    now = fitting.optimizer.state_dict()
    fitting.optimizer.load_state_dict({"state": slots, "param_groups": now["param_groups"]})
