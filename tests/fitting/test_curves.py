"""The curves beside a head show the fits they are given."""

import copy
import sys

import pytest
from matplotlib.image import imread

from report_cases import make_report, one_fit, twelve_fits
from swift_bon.fitting.curves import draw_curves, plot_curves
from swift_bon.fitting.model_card import model_card
from swift_bon.plotting import PALETTE

NAN = float("nan")
PANELS = ("loss", "best_of_n", "auroc")


def lines(axes, label: str) -> list:
    return [line for line in axes.lines if line.get_label() == label]


@pytest.mark.parametrize(
    "fits",
    [[one_fit(0, 2e-4, 6, 3)], twelve_fits(), [one_fit(0, 2e-4, 1, 0)]],
    ids=["one", "twelve", "one epoch"],
)
def test_every_fit_is_drawn(fits):
    figure = draw_curves(make_report(fits, chosen=len(fits) // 2))
    for axes, key in zip(figure.axes, PANELS, strict=True):
        for fit, line, ring in zip(
            fits, lines(axes, "held out"), lines(axes, "best epoch"), strict=True
        ):
            assert list(line.get_xdata()) == list(range(1, len(fit["history"]) + 1))
            assert list(line.get_ydata()) == [epoch[key] for epoch in fit["history"]]
            assert (*ring.get_xdata(), *ring.get_ydata()) == (fit["epoch"] + 1, fit[key])
        low, high = axes.get_xlim()
        assert low < 1 <= max(len(fit["history"]) for fit in fits) < high
        assert all(tick == round(tick) for tick in axes.get_xticks() if low <= tick <= high)
    training = [list(line.get_ydata()) for line in lines(figure.axes[0], "training")]
    assert training == [[epoch["train_loss"] for epoch in fit["history"]] for fit in fits]
    assert not lines(figure.axes[1], "training") and not lines(figure.axes[2], "training")


def test_the_shipped_fit_stands_out():
    fits, chosen = twelve_fits(), 5
    figure = draw_curves(make_report(fits, chosen))
    for axes, key in zip(figure.axes, PANELS, strict=True):
        drawn = lines(axes, "held out")
        strong = drawn.pop(chosen)
        for line in drawn:
            assert strong.get_linewidth() > line.get_linewidth()
            assert strong.get_alpha() > line.get_alpha()
            assert strong.get_zorder() > line.get_zorder()
        assert axes.get_title(loc="right") == f"{fits[chosen][key]:.3f}"
    assert "seed 1 at learning rate 0.0002" in figure.get_suptitle()
    assert f"epoch {fits[chosen]['epoch'] + 1}" in figure.get_suptitle()


def test_a_colour_is_a_learning_rate():
    fits = twelve_fits()
    figure = draw_curves(make_report(fits))
    for axes in figure.axes:
        for fit, line in zip(fits, lines(axes, "held out"), strict=True):
            assert line.get_color() == PALETTE[(1e-4, 2e-4, 5e-4).index(fit["learning_rate"])]
    rates, kinds = ([text.get_text() for text in legend.texts] for legend in figure.legends)
    assert rates == ["learning rate 0.0001", "0.0002", "0.0005"]
    assert kinds == ["shipped", "held-out questions", "training", "random pick", "best epoch"]


def test_a_random_pick_is_a_dashed_line():
    axes = draw_curves(make_report(twelve_fits())).axes[1]
    (line,) = [line for line in axes.lines if set(line.get_ydata()) == {0.125}]
    assert line.is_dashed()
    assert axes.get_title(loc="left") == "best of 8"


@pytest.mark.parametrize(
    ("lowest", "highest", "scale"),
    [(0.2, 1.0, "linear"), (0.2, 50.0, "log"), (0.0, 50.0, "linear")],  # 0 has no logarithm
)
def test_a_fit_that_diverged_does_not_flatten_the_others(lowest, highest, scale):
    fits = [one_fit(0, 2e-4, 6, 3), one_fit(1, 2e-2, 6, 3)]
    fits[0]["history"][3]["loss"], fits[1]["history"][5]["loss"] = lowest, highest
    fits[1]["history"][5]["best_of_n"] = 0.001
    scales = [axes.get_yscale() for axes in draw_curves(make_report(fits)).axes]
    assert scales == [scale, "linear", "linear"]


def test_png_is_whole_and_shows_its_data(tmp_path):
    report = make_report([one_fit(0, 2e-4, 6, 3)])
    path = tmp_path / "new folder" / "curves.png"
    plot_curves(report, path)
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    image = imread(path)
    assert image.shape[1] > 1500 and image.shape[0] > 500
    assert 0.005 < (image[:, :, :3].min(axis=2) < 0.9).mean() < 0.3  # ink on a white page
    plot_curves(report, path)
    assert path.read_bytes() == first
    changed = copy.deepcopy(report)
    changed["fits"][0]["history"][4]["auroc"] += 0.1
    plot_curves(changed, path)
    differs = (imread(path) != image).any(axis=(0, 2)).nonzero()[0]
    assert differs.size and differs.min() > image.shape[1] * 0.6  # in the third panel alone
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def disk_is_full(source, target):
        assert source.parent == path.parent  # a rename is whole within one file system only
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("swift_bon.storage.os.replace", disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        plot_curves(make_report([one_fit(0, 2e-4, 2, 1)]), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keys", [("auroc",), ("best_of_n", "random"), ("loss", "train_loss")])
@pytest.mark.parametrize("share", ["all", "some"])
def test_nan_breaks_nothing(tmp_path, keys, share):
    fits = [one_fit(0, 2e-4, 4, 2), one_fit(1, 2e-4, 4, 2)]
    for key in keys:
        for fit in fits if share == "all" else fits[:1]:
            fit[key] = NAN
            for epoch in fit["history"]:
                epoch[key] = NAN
    report = make_report(fits)
    figure = draw_curves(report)
    is_said = [any(text.get_text() == "not defined" for text in a.texts) for a in figure.axes]
    assert is_said == [share == "all" and key in keys for key in PANELS]
    figure.savefig(tmp_path / "curves.png", dpi=50)
    assert "| **n/a** |" in model_card(report)


def test_pyplot_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it fails
    plot_curves(make_report([one_fit(0, 2e-4, 2, 1)]), tmp_path / "curves.png")


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        plot_curves(make_report([one_fit(0, 2e-4, 2, 1)]), tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
