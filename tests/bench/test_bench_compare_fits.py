"""The comparison of fits: it judges by the scores of the heads, and its tables are whole."""

import pytest
import torch

import compare_fits
from compare_fits import Fitted, judge, mean_head
from feature_cases import own_states, random_prompts, shared_model, write_candidates
from rendering import compare_table
from swift_bon.features.model_features import ModelFeatures, feature_spec
from swift_bon.statistics import auroc, picked_accuracy
from swift_kernels import RewardHead, score_candidates
from tiny_models import tiny_tokenizer

MACHINE = {
    "device": "2 CPU cores",
    "processor": "a processor",
    "torch": "2",
    "cuda": None,
    "commit": "0123456789abcdef",
    "date": "2026-01-01",
}


@pytest.fixture(scope="module")
def heads() -> list[RewardHead]:
    torch.manual_seed(0)
    return [RewardHead(4, 32, gated=gated) for gated in (True, True, False)]


def test_judgement_is_that_of_the_scores_of_each_candidate(heads, tmp_path):
    prompts = [
        row for row in random_prompts(12) if all(len(c.token_ids) > 1 for c in row.candidates)
    ]
    path = write_candidates(tmp_path / "a.jsonl", prompts)
    model = shared_model()
    spec = feature_spec(model, None, "fed", "float32", False)
    source = ModelFeatures(model, tiny_tokenizer(), prompts, spec)
    fitted = {"two": Fitted(heads[:2], 1, 1), "one": Fitted(heads[2:], 1, 1)}
    accuracies, areas = judge(source, path, fitted)
    for name, variant in fitted.items():
        for row, area, head in zip(accuracies[name], areas[name], variant.heads, strict=True):
            with torch.no_grad():
                scores = [
                    torch.cat([score_candidates(s[:, None], head) for s in states])
                    for states in (own_states(model, prompt, "fed") for prompt in prompts)
                ]
            right = [torch.tensor(prompt.correct) for prompt in prompts]
            picks = [picked_accuracy(s[None], r[None]) for s, r in zip(scores, right, strict=True)]
            torch.testing.assert_close(row, torch.cat(picks))
            assert area == pytest.approx(auroc(torch.cat(scores), torch.cat(right)), abs=1e-6)


def test_mean_head(heads):
    mean = mean_head(heads[:2])
    expected = (heads[0].gate_weight + heads[1].gate_weight) / 2
    torch.testing.assert_close(mean.gate_weight, expected)
    assert mean.config() == heads[0].config()


def test_rows_and_tables():
    fitted = {
        "base": Fitted([None] * 2, 35_712, 10**10),
        "other": Fitted([None], 1_024, 3 * 10**8),
    }
    accuracies = {
        "base": torch.tensor([[0.0, 1, 0, 1], [0, 1, 1, 1]]).double(),
        "other": torch.tensor([[1.0, 1, 1, 1]]).double(),
    }
    areas = {"base": [0.8, 0.9], "other": [0.95]}
    rows = compare_fits._rows(["base", "other"], "base", fitted, accuracies, areas)
    base, other = rows
    assert base["best_of_n"][0] == 0.625
    assert base["difference"] == [0, 0, 0]
    assert base["best_of_n_seeds"] == [0.5, 0.75]
    assert other["difference"][0] == 0.375
    assert other["difference"][1] < 0.375 < other["difference"][2]
    assert other["auroc_difference"] == pytest.approx(0.1)
    record = {"machine": MACHINE, "num_seeds": 2, "num_prompts": 4, "features": rows}
    text = compare_table.render_features(record)
    assert "| base | 35,712 | 10.00 GB | 0.850 | 0.800 to 0.900 | 0.625 |" in text
    assert "+0.100 AUROC, +0.375 (" in text
    losses = compare_table.render_losses(
        {**record, "losses": [{**other, "name": compare_fits.DEFAULT}, {**base, "name": "nca"}]}
    )
    assert "| bce | 0.950 |" in losses
    assert "| nca | 0.850 |" in losses
