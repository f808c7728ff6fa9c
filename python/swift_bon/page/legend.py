"""What the colours of tokens mean, in numbers."""

from swift_bon.page.formats import signed
from swift_bon.page.levels import Scale

HINT = (
    '<p class="legend-note">These candidates have no rewards and gates by token. '
    "<code>swift-bon score FILE --head HEAD</code> adds them.</p>"
)


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
