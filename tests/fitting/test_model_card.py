"""The card of a head tells how it was trained, with every number of its report."""

import json

import pytest

from report_cases import make_report, one_fit, twelve_fits
from swift_bon.fitting.model_card import model_card

NAN = float("nan")


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
