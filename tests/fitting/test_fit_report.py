"""The curves beside a head show the fits they are given, and the card tells how it was trained."""

import copy
import json
import sys

import pytest
from matplotlib.image import imread

from swift_bon.fitting.curves import draw_curves, plot_curves
from swift_bon.fitting.model_card import model_card
from swift_bon.plotting import PALETTE

NAN = float("nan")
PANELS = ("loss", "best_of_n", "auroc")


REPORT = """{
"candidates": {"model": "tiny/llama", "task": "basics", "split": "train", "seed": 31,
  "num_return_sequences": 8, "sampling": {"temperature": 0.9},
  "num_prompts": 1773, "num_candidates": 14179},
"features": {"kind": "store", "dtype": "float16", "dim": 17280, "projection": null,
  "num_tokens": 90210},
"scored_tokens": "response",
"options": {"loss": "pairwise", "alpha": 0.01, "weight_decay": 30.0, "schedule": "cosine",
  "epochs": 20, "patience": 4, "batch_size": 256, "validation": 0.15, "gated": true,
  "layers": null, "select_by": "loss"}
}"""


def one_fit(seed: int, learning_rate: float, num_epochs: int, epoch: int) -> dict:
    history = [
        {
            "train_loss": 0.5 / (number + 1) + 0.01 * seed,
            "loss": 0.3 + 0.02 * abs(number - epoch) + 0.0011 * seed + learning_rate,
            "auroc": 0.8 + 0.01 * number + 0.0013 * seed,
            "best_of_n": 0.3 + 0.01 * number + 0.0017 * seed,
            "random": 0.125,
        }
        for number in range(num_epochs)
    ]
    at_best = {key: history[epoch][key] for key in ("loss", "auroc", "best_of_n", "random")}
    fit = {"seed": seed, "learning_rate": learning_rate, "epoch": epoch}
    return {**fit, **at_best, "history": history}


def make_report(fits: list[dict], chosen: int = 0, **options) -> dict:
    report = {**json.loads(REPORT), "fits": fits, "chosen": chosen}
    for name in ("learning_rate", "seed"):
        report["options"][f"{name}s"] = sorted({fit[name] for fit in fits})
    report["options"] |= options
    return report


def twelve_fits() -> list[dict]:
    """Fits that stopped at different epochs."""
    pairs = [(seed, rate) for rate in (1e-4, 2e-4, 5e-4) for seed in range(4)]
    return [one_fit(seed, rate, 5 + seed, 2 + seed % 3) for seed, rate in pairs]


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


@pytest.mark.parametrize(
    ("fits", "chosen"), [([one_fit(7, 2e-4, 6, 3)], 0), (twelve_fits(), 5)], ids=["one", "twelve"]
)
def test_card_has_every_number_of_the_table(fits, chosen):
    rows = [line for line in model_card(make_report(fits, chosen)).splitlines() if "|" in line]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    head = ["seed", "learning rate", "epoch", "loss", "AUROC", "best-of-N", "random"]
    assert cells[0] == head and cells[1] == ["---"] * len(head)
    for number, (fit, row) in enumerate(zip(fits, cells[2:], strict=True)):
        is_bold = [cell.startswith("**") and cell.endswith("**") for cell in row]
        assert is_bold == [number == chosen] * len(head)
        values = [float(cell.strip("*")) for cell in row]
        assert values[:3] == [fit["seed"], fit["learning_rate"], fit["epoch"] + 1]
        measured = [fit[key] for key in ("loss", "auroc", "best_of_n", "random")]
        assert values[3:] == pytest.approx(measured, abs=6e-4)
        assert values[3] == pytest.approx(fit["loss"], abs=6e-5)


def card(fits=None, chosen=0, features=(), **options) -> str:
    """The card with its lines joined, so that a phrase may run over an end."""
    report = make_report(fits or [one_fit(0, 2e-4, 6, 3)], chosen, **options)
    report["features"] |= dict(features)
    return " ".join(model_card(report).split())


def test_card_tells_how_the_head_was_trained():
    text = card(twelve_fits(), chosen=5)
    assert text.startswith(
        "## Training Task `basics`, split `train`: 1773 questions x 8 candidates"
    )
    for phrase in (
        "(14179 in all)",
        '`{"temperature": 0.9}`, seed 31.',
        "full states, 17280 numbers a token in float16, of 90210 tokens, from a store",
        "Scored tokens: `response`",
        "with a gate, all layers",
        "`pairwise`, log-sigmoid of right against wrong candidates",
        "learning rate 0.0001, 0.0002 and 0.0005, weight decay 30, cosine schedule",
        "256 candidates a batch, at most 20 epochs, seeds 0, 1, 2 and 3",
        "15% of the questions were held out",
        "lowest validation loss and ends after 4 epochs",
        "shipped: seed 1, learning rate 0.0002",
    ):
        assert phrase in text
    assert "alpha" not in text


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"loss": "nca", "alpha": 0.05}, "`nca`, NCA, alpha 0.05."),
        ({"loss": "infonca"}, "`infonca`, InfoNCA, alpha 0.01."),
        ({"loss": "bce"}, "`bce`, binary cross-entropy."),
        ({"gated": False, "layers": [0, 4, 8]}, "without a gate, layers 0, 4 and 8."),
        ({"layers": [3]}, "layers 3."),
        ({"standardize": True}, "all layers, fitted to standardised features."),
        ({"standardize": False}, "all layers. "),
        ({"warmup": 0.05}, "cosine schedule after a warm-up over 5% of the steps, 256"),
        ({"schedule": "constant", "warmup": 0.0}, "constant schedule, 256"),
        ({"select_by": "best_of_n"}, "its epoch with the highest best-of-N accuracy"),
        (
            {"features": {"kind": "model", "dtype": None}},
            "17280 numbers a token, of 90210 tokens, by one pass of the model an epoch",
        ),
        (
            {"features": {"dim": 256, "projection": {"sample": 9, "values": [1.0] * 99}}},
            '256 directions of a projection `{"sample": 9}` in float16',
        ),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_card_follows_the_options(changes, phrase):
    assert phrase in card(**changes)


def test_card_knows_every_loss():
    from swift_bon.fitting.losses import LOSSES

    for name in LOSSES:
        assert f"Loss: `{name}`, " in card(loss=name)
