"""The curves of the fits of a report, as a picture file."""

import io
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swift_bon.fitting.report import number_text
from swift_bon.plotting import DARK, DASHES, GREY, PALETTE, draw_frame, figure_class
from swift_bon.storage import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_SCALE_FROM = 10.0  # highest over lowest held-out loss: a fit that diverged flattens the others


def plot_curves(report: dict[str, Any], path: str | Path) -> None:
    """Save `draw_curves(report)` as PNG. The file is replaced as a whole.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    image = io.BytesIO()
    draw_curves(report).savefig(image, format="png")
    write_whole(Path(path), image.getvalue())


def draw_curves(report: dict[str, Any]) -> "Figure":
    """A `matplotlib.figure.Figure` of all fits over their epochs.

    Three panels: training and validation loss, best-of-N with a random pick below it, AUROC. A
    colour is a learning rate, a ring the best epoch of a fit, the strong line the shipped fit; the
    number above a panel is its value there. NaN leaves a gap.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    figure = figure_class()(figsize=(13, 4.8), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", wspace=0.05, h_pad=0.08)
    num_candidates = report["candidates"]["num_return_sequences"]
    headings = {"loss": "loss", "best_of_n": f"best of {num_candidates}", "auroc": "AUROC"}
    for axes, (key, heading) in zip(figure.subplots(1, 3), headings.items(), strict=True):
        _draw_panel(axes, report, key, heading)
    text = {"color": DARK, "fontsize": 12.5, "weight": "bold", "parse_math": False}
    figure.suptitle(_title(report), x=0.006, ha="left", **text)
    _draw_legends(figure, report)
    return figure


def _draw_panel(axes, report: dict[str, Any], key: str, heading: str) -> None:
    fits, chosen = report["fits"], report["fits"][report["chosen"]]
    colours = _rate_colours(report)
    for fit in fits:
        _draw_fit(axes, fit, key, colours[fit["learning_rate"]], is_chosen=fit is chosen)
    axes.set_title(heading, loc="left", color=DARK)
    colour = colours[chosen["learning_rate"]]
    axes.set_title(number_text(chosen[key], 3), loc="right", color=colour, weight="bold")
    axes.set_xlabel("epoch", color=DARK)
    axes.set_xlim(0.5, max(len(fit["history"]) for fit in fits) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=10, min_n_ticks=1)
    draw_frame(axes)
    epochs = [epoch for fit in fits for epoch in fit["history"]]
    values = [epoch[key] for epoch in epochs if math.isfinite(epoch[key])]
    if not values:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center", color=GREY)
    elif key == "loss" and max(values) > LOG_SCALE_FROM * min(values) > 0:
        axes.set_yscale("log")
    elif key == "best_of_n":
        for share in {fit["random"] for fit in fits}:
            axes.axhline(share, color=DARK, lw=1.2, ls=DASHES, zorder=1)


def _draw_fit(axes, fit: dict[str, Any], key: str, colour: str, *, is_chosen: bool) -> None:
    epochs = range(1, len(fit["history"]) + 1)
    look = {"color": colour, "alpha": 1.0 if is_chosen else 0.42, "zorder": 4 if is_chosen else 2}
    look["marker"] = "." if len(epochs) == 1 else ""  # one epoch is a point, not a line
    if key == "loss":
        losses = [epoch["train_loss"] for epoch in fit["history"]]
        axes.plot(epochs, losses, ":", lw=1.8 if is_chosen else 1.0, label="training", **look)
    values = [epoch[key] for epoch in fit["history"]]
    axes.plot(epochs, values, "-", lw=2.6 if is_chosen else 1.3, label="held out", **look)
    ring = {"mfc": "white", "mec": colour, "mew": 2.4 if is_chosen else 1.3}
    ring |= {"ms": 9 if is_chosen else 5.5, "zorder": 5 if is_chosen else 3}
    axes.plot(fit["epoch"] + 1, values[fit["epoch"]], "o", label="best epoch", **ring)


def _rate_colours(report: dict[str, Any]) -> dict[float, str]:
    """A colour for each learning rate."""
    rates = sorted({fit["learning_rate"] for fit in report["fits"]})
    return dict(zip(rates, itertools.cycle(PALETTE), strict=False))


def _title(report: dict[str, Any]) -> str:
    source, chosen = report["candidates"], report["fits"][report["chosen"]]
    return (
        f"{source['model']} on {source['task']}, {report['options']['loss']} loss: "
        f"seed {chosen['seed']} at learning rate {chosen['learning_rate']:g} is shipped, "
        f"as of epoch {chosen['epoch'] + 1}"
    )


def _draw_legends(figure: "Figure", report: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    colours = _rate_colours(report)
    rates = [
        Line2D([], [], color=colour, lw=2, label="learning rate " * (not number) + f"{rate:g}")
        for number, (rate, colour) in enumerate(colours.items())
    ]
    shipped = colours[report["fits"][report["chosen"]]["learning_rate"]]
    lines = [
        Line2D([], [], color=shipped, lw=3, label="shipped"),
        Line2D([], [], color=DARK, lw=1.4, label="held-out questions"),
        Line2D([], [], color=DARK, lw=1.4, ls=":", label="training"),
        Line2D([], [], color=DARK, lw=1.2, ls=DASHES, label="random pick"),
        Line2D([], [], lw=0, label="best epoch", marker="o", ms=7, mfc="white", mec=DARK, mew=1.4),
    ]
    look = {"frameon": False, "fontsize": 9, "labelcolor": DARK}
    figure.legend(handles=rates, loc="outside lower left", ncols=min(len(rates), 5), **look)
    figure.legend(handles=lines, loc="outside lower right", ncols=len(lines), **look)
