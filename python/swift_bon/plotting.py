"""What all plots share."""

# Distinct without colour vision too, in this order (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY, DARK = "#8A8F98", "#22262E"
DASHES = (0, (5, 3))


def figure_class() -> type:
    """matplotlib's, without pyplot, which keeps global state.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the curves of a fit are drawn by matplotlib, which is missing; pip install matplotlib"
        ) from error
    return Figure
