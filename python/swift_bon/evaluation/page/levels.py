"""Rewards, gates and lengths of tokens as one character each, so that many fit into a page."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from swift_bon.evaluation.page.formats import signed

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NOT_SCORED = " "
TOP = len(ALPHABET) - 1
TAIL = 0.01  # of the values on each side that a colour scale leaves out: a few would dim the rest

HINT = (
    '<p class="legend-note">These candidates have no rewards and gates by token. '
    "<code>swift-bon score FILE --head HEAD</code> adds them.</p>"
)


class Scale(NamedTuple):
    """Evenly from `low` (level 0) to `high` (level 63); what lies beyond takes the end."""

    low: float
    centre: float
    high: float

    def pack(self, values: Tensor) -> str:
        """One character for each value; NaN where there is none.

        Args:
            values: `[T]` float64.
        """
        position = (values - self.low) / (self.high - self.low) * TOP
        levels = position.nan_to_num(0.0).round().clamp(0, TOP).to(torch.uint8)
        characters = bytes(map(ALPHABET.encode().__getitem__, levels.tolist())).decode()
        if not bool(values.isnan().any()):
            return characters
        return "".join(
            NOT_SCORED if missing else character
            for missing, character in zip(values.isnan().tolist(), characters, strict=True)
        )


def to_values(numbers: Iterable[float | None]) -> Tensor:
    """`[T]` float64, NaN where a token was not scored or its number is not finite."""
    values = torch.tensor(
        [float("nan") if number is None else number for number in numbers],
        dtype=torch.float64,
        device="cpu",
    )
    return torch.where(values.isfinite(), values, float("nan"))


def reward_scale(values: Sequence[Tensor]) -> Scale | None:
    """Around the mean, equally far to both sides. None where nothing was scored."""
    known = _known(values)
    if not len(known):
        return None
    centre = float(known.mean())
    low, high = _tails(known)
    reach = max(centre - low, high - centre) or 1.0
    return Scale(centre - reach, centre, centre + reach)


def gate_scale(values: Sequence[Tensor]) -> Scale | None:
    """From the lowest to the highest, without the tails."""
    known = _known(values)
    if not len(known):
        return None
    low, high = _tails(known)
    if low == high:
        low, high = 0.0, high or 1.0
    return Scale(low, (low + high) / 2, high)


def pack_lengths(lengths: Iterable[int]) -> str:
    """One character for each length below 63; the last character stands for 63 more."""
    return "".join(ALPHABET[TOP] * (n // TOP) + ALPHABET[n % TOP] for n in lengths)


def utf16_lengths(text: str, lengths: list[int]) -> list[int]:
    """Lengths of pieces in the units of JavaScript, from lengths in characters."""
    if not text or ord(max(text)) < 0x10000:
        return lengths
    pieces, start = [], 0
    for length in lengths:
        piece = text[start : start + length]
        pieces.append(length + sum(character > "\uffff" for character in piece))
        start += length
    return pieces


def describe(scale: Scale | None) -> dict[str, Any] | None:
    """For the script and for whoever reads the data."""
    return None if scale is None else scale._asdict()


def _known(values: Sequence[Tensor]) -> Tensor:
    joined = torch.cat([*values, torch.empty(0, dtype=torch.float64, device="cpu")])
    return joined[~joined.isnan()]


def _tails(known: Tensor) -> tuple[float, float]:
    """By rank: `torch.quantile` takes no more than 16 million values."""
    ordered = known.sort().values
    skipped = int(TAIL * (len(ordered) - 1))
    return float(ordered[skipped]), float(ordered[len(ordered) - 1 - skipped])


def legend(rewards: Scale | None, gates: Scale | None) -> str:
    """One line for each choice of the switch; the style shows that of the choice made."""
    if rewards is None and gates is None:
        return HINT
    lines = [
        _line("reward", rewards, "reward of the token; no colour at the mean of this page"),
        _line("gate", gates, "gate: how much the token counts"),
        _line("both", rewards, "reward by colour, its share in the score (gate) by strength"),
    ]
    return f'<div class="legends">{"".join(lines)}</div>'


def _line(kind: str, scale: Scale | None, caption: str) -> str:
    if scale is None:
        return f'<p class="legend" data-for="{kind}"><span>not scored</span></p>'
    if kind == "gate":
        low, middle, high = f"≤ {scale.low:.2f}", "", f"≥ {scale.high:.2f}"
    else:
        low, middle, high = (signed(value, 2).lstrip("±") for value in scale)
        low, high = f"≤ {low}", f"≥ {high}"
    return (
        f'<p class="legend" data-for="{kind}"><span class="scale"><span>{low}</span>'
        f'<span class="ramp ramp-{kind}">{middle}</span><span>{high}</span></span>'
        f'<span class="caption">{caption}</span></p>'
    )
