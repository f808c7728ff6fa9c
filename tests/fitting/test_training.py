"""Training: the saved head scores the own states of a model as its report says."""

import json

import pytest
import torch

from feature_cases import own_states, shared_model, write_candidates
from fit_cases import TRAINING, planted_prompts, with_verdicts
from swift_bon.candidates.files import write_header
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features.extraction import extract_features
from swift_bon.features.model_features import ModelFeatures, feature_spec, stream_features
from swift_bon.fitting.labels import label_prompts
from swift_bon.fitting.training import train_reward_head
from swift_bon.statistics import auroc, picked_accuracy
from swift_bon.tasks.registry import load_task
from swift_kernels import RewardHead, score_candidates
from tiny_models import tiny_tokenizer

SAVED = {"README.md", "config.json", "curves.png", "model.safetensors", "training.json"}
STORES = {
    "states": {"projection": None, "dtype": "float32"},
    "mixed": {"projection": "mixed", "projection_dim": 24, "dtype": "float32"},
    "per layer": {"projection": "per_layer", "projection_dim": 64, "dtype": "float32"},
    "response": {"projection": None, "dtype": "float32", "scored_tokens": "response"},
    "bfloat16": {"projection": None},
    "float16, mixed": {"projection_dim": 24},
    "float8": {"projection": None, "dtype": "float8"},
    "float8, mixed": {"projection_dim": 24, "dtype": "float8"},
}


@pytest.fixture(scope="module")
def store_of(path, tmp_path_factory):
    """The store of a name out of `STORES`, extracted once."""
    made = {}

    def store_of(name: str):
        if name not in made:
            folder = tmp_path_factory.mktemp("store")
            settings = {**STORES[name], "say": lambda text: None}
            made[name] = extract_features(
                shared_model(), tiny_tokenizer(), path, folder, **settings
            ).folder
        return made[name]

    return store_of


@pytest.fixture(scope="module")
def states_of(prompts):
    """`[L, tokens, H]` of each candidate of each held-out prompt, one forward each."""
    made = {}

    def states_of(scored_tokens: str):
        if scored_tokens not in made:
            labels = label_prompts(prompts, groups_of(prompts, "basics"), TRAINING["validation"])
            chosen = [p for p, is_out in zip(prompts, labels.is_validation, strict=True) if is_out]
            states = [own_states(shared_model(), prompt, scored_tokens) for prompt in chosen]
            correct = [[c.correct for c in prompt.candidates] for prompt in chosen]
            made[scored_tokens] = states, torch.tensor(correct)
        return made[scored_tokens]

    return states_of


def assert_report_is_of_head(head, report, states_of, tolerance: float) -> None:
    """The numbers of the chosen fit are those of the head over the model's own states."""
    states, correct = states_of(head.scored_tokens)
    with torch.no_grad():
        rows = [[score_candidates(s[:, None], head) for s in prompt] for prompt in states]
    scores = torch.stack([torch.cat(row) for row in rows])
    chosen = report["fits"][report["chosen"]]
    found = auroc(scores.flatten(), correct.flatten())
    assert found == pytest.approx(chosen["auroc"], abs=tolerance)
    assert found > 0.7
    picks = float(picked_accuracy(scores, correct).mean())
    assert picks == pytest.approx(chosen["best_of_n"], abs=1e-9 if tolerance < 1e-3 else 0.1)
    assert chosen["random"] == pytest.approx(float(correct.double().mean()))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, correct.float())
    assert float(loss) == pytest.approx(chosen["loss"], abs=1e-4 + tolerance)


@pytest.mark.parametrize("name", STORES)
def test_head_of_a_store_scores_the_states_of_the_model(path, store_of, states_of, name):
    head, report = train_reward_head(path, store_of(name), **TRAINING)
    assert head.base_model == "tiny/llama"
    assert head.scored_tokens == STORES[name].get("scored_tokens", "fed")
    is_exact = STORES[name].get("dtype") == "float32"
    assert_report_is_of_head(head, report, states_of, 1e-6 if is_exact else 0.02)


@pytest.mark.parametrize("options", [{}, {"layers": (1, 3)}, {"gated": False}], ids=str)
def test_features_of_the_model_give_the_head_of_a_store(path, store_of, states_of, options):
    """The memory-light way: the same numbers in the same order, but for rounding."""
    source = stream_features(shared_model(), tiny_tokenizer(), path)
    settings = {**TRAINING, **options}
    head, report = train_reward_head(path, source, **settings)
    stored, stored_report = train_reward_head(path, store_of("states"), **settings)
    assert head.config() == stored.config()
    for name, value in stored.state_dict().items():
        torch.testing.assert_close(head.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    for fit, stored_fit in zip(report["fits"], stored_report["fits"], strict=True):
        assert fit["epoch"] == stored_fit["epoch"]
        assert fit["history"][-1] == pytest.approx(stored_fit["history"][-1], abs=1e-3)
    assert (report["features"]["kind"], stored_report["features"]["kind"]) == ("model", "store")
    assert_report_is_of_head(head, report, states_of, 1e-6)


@pytest.mark.parametrize("name", ["states", "per layer", "float8"])
@pytest.mark.parametrize("layers", [(0, 2), (3,)], ids=str)
def test_subset_of_the_layers_needs_no_other_store(path, store_of, states_of, name, layers):
    head, report = train_reward_head(path, store_of(name), layers=list(layers), **TRAINING)
    assert head.layers == layers
    assert report["options"]["layers"] == layers
    assert head.reward_weight.shape == (len(layers), 32)
    assert_report_is_of_head(head, report, states_of, 0.02 if name == "float8" else 1e-6)


@pytest.mark.parametrize(
    ("name", "layers", "message"),
    [
        ("mixed", [0, 2], "mixes all of .* extract with projection='per_layer', or without one"),
        ("states", [0, 4], "layers is .*0, 4.*, expected indices from 0 to 3"),
        ("states", [2, 0], "layers is .*2, 0.*, expected ascending"),
        ("states", [], "layers"),
        ("states", ["0"], "layers is .*expected ints"),
    ],
)
def test_layers_that_cannot_be_read(path, store_of, name, layers, message):
    with pytest.raises((ValueError, TypeError), match=message):
        train_reward_head(path, store_of(name), layers=layers, **TRAINING)


def test_layer_that_was_not_taken(path, tmp_path):
    spec = feature_spec(shared_model(), [0, 3], "fed", "float32", False)
    source = ModelFeatures(shared_model(), tiny_tokenizer(), planted_prompts(), spec)
    with pytest.raises(ValueError, match=r"layers has 2, the features have \[0, 3\]; extract"):
        train_reward_head(path, source, layers=[2, 3], **TRAINING)


def test_everything_is_saved(path, store_of, tmp_path):
    output = tmp_path / "deep" / "head"
    settings = {**TRAINING, "learning_rates": [0.01, 0.03], "seeds": [4, 5], "loss": "pairwise"}
    head, report = train_reward_head(path, store_of("mixed"), output, **settings)
    assert {file.name for file in output.iterdir()} == SAVED
    assert {file.name for file in output.parent.iterdir()} == {"head"}
    loaded = RewardHead.from_pretrained(output)
    assert loaded.config() == head.config()
    assert all(torch.equal(loaded.state_dict()[k], v) for k, v in head.state_dict().items())
    saved = json.loads((output / "training.json").read_text())
    assert saved == json.loads(json.dumps(report))
    assert [(f["learning_rate"], f["seed"]) for f in saved["fits"]] == [
        (0.01, 4), (0.01, 5), (0.03, 4), (0.03, 5)
    ]  # fmt: skip
    losses = [fit["loss"] for fit in saved["fits"]]
    assert losses[saved["chosen"]] == min(losses)
    for fit in saved["fits"]:
        best = fit["history"][fit["epoch"]]
        assert all(fit[name] == best[name] for name in ("loss", "auroc", "best_of_n", "random"))
    assert saved["candidates"]["num_candidates"] == 160
    assert saved["features"]["dim"] == 24
    card = (output / "README.md").read_text()
    assert "`pairwise`" in card and "160 in all" in card and "tiny/llama" in card
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_no_output_writes_nothing(path, store_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in store_of("states").iterdir()}
    train_reward_head(path, store_of("states"), **TRAINING)
    assert list(tmp_path.iterdir()) == []
    assert {file: file.stat().st_mtime_ns for file in store_of("states").iterdir()} == before


def test_head_that_diverged_is_reported_but_not_shipped(path, store_of, tmp_path):
    settings = {**TRAINING, "learning_rates": (1e30, 0.03), "batch_size": 16}
    head, report = train_reward_head(path, store_of("states"), tmp_path / "head", **settings)
    assert report["chosen"] == 1
    saved = json.loads((tmp_path / "head" / "training.json").read_text())
    assert saved["fits"][0]["loss"] is None  # JSON has no NaN
    alone, _ = train_reward_head(path, store_of("states"), **TRAINING, batch_size=16)
    torch.testing.assert_close(head.reward_weight, alone.reward_weight)


def test_training_again_replaces_the_head(path, store_of, tmp_path):
    train_reward_head(path, store_of("states"), tmp_path, **TRAINING)
    head, _ = train_reward_head(path, store_of("states"), tmp_path, **TRAINING, gated=False)
    assert not RewardHead.from_pretrained(tmp_path).gated
    assert "without a gate" in (tmp_path / "README.md").read_text()
    assert {file.name for file in tmp_path.iterdir()} == SAVED


def test_store_may_hold_more_than_the_file(prompts, store_of, tmp_path):
    """Prompts that are not in the file are read over; the head is as if they were not there."""
    few = write_candidates(tmp_path / "few.jsonl", prompts[:30])
    source = stream_features(shared_model(), tiny_tokenizer(), few)
    head, report = train_reward_head(few, store_of("states"), **TRAINING)
    _, expected = train_reward_head(few, source, **TRAINING)
    assert report["candidates"]["num_candidates"] == 120
    chosen, other = (r["fits"][0] for r in (report, expected))
    assert chosen["random"] == other["random"]
    assert chosen["auroc"] == pytest.approx(other["auroc"], abs=0.1)


def test_wordings_of_one_fact_stand_on_one_side():
    questions = load_task("basics").questions("train")
    rows = [
        PromptCandidates(q.id, q.prompt, q.reference, [StoredCandidate("", [7], v, None)])
        for q, v in zip(questions, [True, False] * len(questions), strict=False)
    ]
    groups = groups_of(rows, "basics")
    assert len(set(groups)) < len(rows)
    labels = label_prompts(rows, groups, 0.3)
    sides: dict[str, set[bool]] = {}
    for group, is_out in zip(groups, labels.is_validation, strict=True):
        sides.setdefault(group, set()).add(is_out)
    assert all(len(side) == 1 for side in sides.values())
    assert groups_of(rows, "somebody's") == [row.prompt_digest for row in rows]


def test_candidates_from_elsewhere(prompts, store_of, tmp_path):
    """A task that is not known, and a header that says no more than it must."""
    path = write_candidates(tmp_path / "b.jsonl", prompts)
    write_header(path, {"model": "tiny/llama", "task": "mine", "split": "train"})
    _, report = train_reward_head(path, store_of("states"), tmp_path / "head", **TRAINING)
    assert report["candidates"]["num_return_sequences"] == 4
    assert "Task `mine`" in (tmp_path / "head" / "README.md").read_text()


def test_labels_may_change_without_another_store(prompts, store_of, tmp_path):
    """The store is of tokens; a corrected label is read from the file."""
    path = write_candidates(tmp_path / "turned.jsonl", with_verdicts(prompts, lambda c: not c))
    _, report = train_reward_head(path, store_of("states"), **TRAINING)
    assert report["fits"][0]["auroc"] > 0.8
    assert report["fits"][0]["random"] > 0.5
