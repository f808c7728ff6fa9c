"""Records of a feature store: what its files say, refused where no store of ours says that."""

import re
from dataclasses import dataclass, replace
from typing import Any

from swift_bon.features.spec import DTYPES, FeatureSpec
from swift_kernels.checks import SCORED_TOKENS, check_choice, check_count, check_layers, check_text

SHARD_NAME = re.compile(r"shard-([0-9]{5,18})\.safetensors")
SPEC_NAMES = ("model", "num_layers", "hidden_size", "layers", "scored_tokens", "dtype")
LATER_NAMES = ("fingerprint",)  # that older stores have not


@dataclass(frozen=True)
class StoredPrompt:
    """A prompt in a shard: which, with which tokens."""

    id: str
    digest: str
    num_candidates: int


@dataclass(frozen=True)
class ShardEntry:
    """A line of `shards.jsonl`."""

    file: str
    num_bytes: int
    sha256: str
    moments_sha256: str  # of the sums alone, which are read before the rest
    num_tokens: int
    prompts: list[StoredPrompt]  # in packed order


def to_spec(record: dict[str, Any]) -> FeatureSpec:
    """What the features are made of, but for the projection.

    Raises:
        KeyError, TypeError, ValueError: a value is missing, or none that a spec has.
    """
    later = {name: record[name] for name in LATER_NAMES if name in record}
    spec = FeatureSpec(**{name: record[name] for name in SPEC_NAMES}, **later)
    check_text(spec.fingerprint, "fingerprint")
    _check_text(spec.model, "model")
    check_count(spec.num_layers, "num_layers")
    check_count(spec.hidden_size, "hidden_size")
    check_choice(spec.scored_tokens, SCORED_TOKENS, "scored_tokens")
    check_choice(spec.dtype, tuple(DTYPES), "dtype")
    return replace(spec, layers=check_layers(tuple(spec.layers), spec.num_layers) or ())


def to_entry(record: dict[str, Any]) -> ShardEntry:
    """A line of `shards.jsonl`. Raises as `to_spec`."""
    prompts = [StoredPrompt(**prompt) for prompt in record["prompts"]]
    entry = ShardEntry(**{**record, "prompts": prompts})
    if not SHARD_NAME.fullmatch(entry.file):
        raise ValueError(f"its file is {entry.file!r}")
    if type(entry.num_tokens) is not int or entry.num_tokens < 0:
        raise ValueError(f"num_tokens is {entry.num_tokens!r}, expected a number of tokens")
    for prompt in prompts:
        _check_text(prompt.id, "the id of a prompt")
        check_count(prompt.num_candidates, "num_candidates")
    return entry


def _check_text(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, expected a string")
