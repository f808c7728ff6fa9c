"""Whether two models are one: by sampled values of their weights, or, without them, by name."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from swift_bon.models.sampled_weights import Fingerprint, is_exact

Fit = Literal["same", "adapted", "quantized", "unproven", "other"]

# Of each dtype a step between two of its numbers, as a share of them; of float32 some.
STEPS = {torch.float32: 2.0**-20, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
MOST_OFF_BY_A_STEP = 0.1  # of the values: rounded twice, or merged and unmerged again
STEPS_OF_A_SUM = 4  # weight, adapter and sum are rounded each
NAMES_SHOWN = 3

SNAPSHOT = re.compile(r"models--(.+)/snapshots/[^/]+/?$")  # a folder of the hub's cache
# Folders that say nothing of the model in them.
GENERIC = re.compile(
    r"(checkpoint|ckpt|epoch|step|model|models|final|outputs?|out|best|last|latest|merged|adapter|"
    r"lora|sft|dpo|run|snapshot|hf|weights|export|tmp|temp|)[-_.]?\d*"
)

Rows = Mapping[int, Tensor]


class Identity(NamedTuple):
    """What is known of a model: what it is called, and its fingerprint where there is one."""

    name: str
    fingerprint: Fingerprint | None = None


class Verdict(NamedTuple):
    """How a model stands to the one that something was made with.

    fit: "same" up to rounding; "adapted", the same weights with other adapters at work;
        "quantized", the same but for weights that only one of them has quantised; "unproven",
        where the weights are not known and the names may mean the same; "other".
    words: what differs, or what is not known; none for "same".
    """

    fit: Fit
    words: str = ""


def compare(made_with: Identity, now: Identity) -> Verdict:
    """How the model `now` stands to the one that something was made with."""
    if made_with.fingerprint is not None and now.fingerprint is not None:
        verdict = _compare_weights(made_with.fingerprint, now.fingerprint)
        if verdict is not None:
            return verdict
    return _compare_names(made_with.name, now.name)


def _compare_weights(one: Fingerprint, two: Fingerprint) -> Verdict | None:
    """None where the two have no tensor in common that could be read."""
    shared = one.weights.keys() & two.weights.keys()
    num_shared = len(shared) + len(one.quantized.keys() & two.quantized.keys())
    if not num_shared:
        return None
    names = {**one.names, **two.names}
    packed = _differing(one.quantized, two.quantized)
    plain = _differing(one.weights, two.weights)
    adapted = one.effects.keys() | two.effects.keys()
    at_work = _differing(*_at_work(one, two), most_steps=STEPS_OF_A_SUM)
    at_work |= plain - adapted
    if packed | at_work and packed | plain:
        differing = packed | plain
        counted = f"{len(differing)} of {num_shared} tensors have other values"
        return Verdict("other", f"{counted}{_listed(differing, names)}")
    words = []
    if at_work:
        words.append(
            f"the weights are the same, but {_who(one.effects, two.effects)} adapters at work, "
            f"which change {len(at_work)} tensors{_listed(at_work, names)}"
        )
    quantized = one.quantized.keys() ^ two.quantized.keys()
    if quantized:
        words.append(
            f"{_who(one.quantized.keys() - two.quantized, two.quantized.keys() - one.quantized)} "
            f"quantised weights; the {num_shared} tensors that can be compared are the same"
        )
    if words:
        return Verdict("adapted" if at_work else "quantized", "; ".join(words))
    num_tensors = max(len(one.weights), len(two.weights))
    if 2 * num_shared < num_tensors:
        return Verdict("unproven", f"only {num_shared} of {num_tensors} tensors can be compared")
    return Verdict("same")


def _who(one: object, two: object) -> str:
    return "both have" if one and two else "that one has" if one else "this one has"


def _at_work(one: Fingerprint, two: Fingerprint) -> tuple[Rows, Rows]:
    """The tensors that an adapter of either changes, as they work; what it adds, where the tensor
    itself is not known of both."""
    known = one.weights.keys() & two.weights.keys()
    rows: list[dict[int, Tensor]] = []
    for taken in (one, two):
        rows.append({})
        for key, row in {**one.effects, **two.effects}.items():
            added = taken.effects.get(key, torch.zeros_like(row))
            rows[-1][key] = taken.weights[key] + added if key in known else added
    return rows[0], rows[1]


def _listed(keys: set[int], names: Mapping[int, str]) -> str:
    known = [names[key] for key in names if key in keys]
    if not known:
        return ""
    return f" ({', '.join(known[:NAMES_SHOWN])}{', ...' if len(keys) > NAMES_SHOWN else ''})"


def _differing(one: Rows, two: Rows, *, most_steps: int = 1) -> set[int]:
    """The tensors whose values are not the same up to the rounding of the coarser dtype.

    What they were rounded to is seen from the values: a checkpoint in bfloat16 stays one when it
    is loaded in float32. Some values may be off by one step of that dtype, as two roundings of a
    number may; none by more, and of sums all of them by some.
    """
    keys = [key for key in one if key in two]
    if not keys:
        return set()
    num_samples = min(len(rows[key]) for rows in (one, two) for key in keys)
    a, b = (torch.stack([rows[key][:num_samples] for key in keys]) for rows in (one, two))
    off, far = torch.zeros_like(a, dtype=torch.bool), torch.zeros_like(a, dtype=torch.bool)
    done = torch.zeros(len(keys), 1, dtype=torch.bool, device="cpu")
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        held = is_exact(a, dtype).all(1, keepdim=True) | is_exact(b, dtype).all(1, keepdim=True)
        rows, done = held & ~done, held | done
        size = torch.maximum(_size(a), _size(b))
        rounded = [values.to(dtype).float() for values in (a, b)]
        equal = (rounded[0] == rounded[1]) | (a.isnan() & b.isnan())
        near = (rounded[0] - rounded[1]).abs() <= most_steps * STEPS[dtype] * size
        off |= rows & ~(equal if dtype != torch.float32 else equal | near)
        far |= rows & ~(equal | near)
    is_rounding = most_steps > 1 or float(off.float().mean()) <= MOST_OFF_BY_A_STEP
    differing = far if is_rounding else off
    return {key for key, is_off in zip(keys, differing.any(1).tolist(), strict=True) if is_off}


def _size(values: Tensor) -> Tensor:
    """What a step is a share of: each value, or those of its tensor where it is a small one."""
    return torch.maximum(values.abs(), values.square().mean(1, keepdim=True).sqrt())


def _compare_names(made_with: str, now: str) -> Verdict:
    one, two = _plain_name(made_with), _plain_name(now)
    if one == two:
        return Verdict("unproven", "that is the same name, and its weights are not known")
    last = one.rsplit("/", 1)[-1]
    if last == two.rsplit("/", 1)[-1] and not GENERIC.fullmatch(last):
        return Verdict("unproven", "the names end alike, and its weights are not known")
    return Verdict("other", "its weights are not known, and the names differ")


def _plain_name(name: str) -> str:
    """A hub id, also of a folder in the hub's cache, or a path."""
    name = name.replace("\\", "/")
    snapshot = SNAPSHOT.search(name)
    return (snapshot.group(1).replace("--", "/") if snapshot else name).rstrip("/").lower()
