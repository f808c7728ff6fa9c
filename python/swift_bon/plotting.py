"""What all plots share: colours, dashes, the frame of an axis, and matplotlib without its state."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinct without colour vision too, in this order (Okabe and Ito, 2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY, DARK = "#8A8F98", "#22262E"
DASHES = (0, (5, 3))


def figure_class() -> "type[Figure]":
    """`matplotlib.figure.Figure`, without pyplot, which keeps global state.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots are drawn by matplotlib, which is missing; pip install matplotlib"
        ) from error
    return Figure


def draw_frame(axes: "Axes") -> None:
    """Horizontal lines behind the data, and a quiet frame at the left and below."""
    axes.grid(axis="y", color="#E6E8EC", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=DARK, labelsize=9)
