"""Training: features are the model's states, the split holds, the best epoch comes back."""

import json
import random

import pytest
import torch

from swift_bon import fitting
from swift_bon.candidates import PromptCandidates, StoredCandidate, append_candidates, write_header
from swift_bon.features import Features, extract_features
from swift_bon.fitting import TrainingOptions, fit_head
from swift_bon.prompts import render_prompts
from swift_bon.statistics import auroc
from swift_bon.tasks import load_task
from swift_bon.training import train
from swift_kernels import RewardHead, score_candidates
from tiny_models import tiny_model, tiny_tokenizer

RIGHT_TOKEN, WRONG_TOKEN = 10, 20
OPTIONS = {"epochs": 8, "seeds": (0,), "validation": 0.3, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def model():
    model = tiny_model("llama")
    model.config._name_or_path = model.name_or_path = "tiny/llama"
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def prompts() -> list[PromptCandidates]:
    """Questions whose right candidates say one token, the wrong ones another."""
    draw = random.Random(0)
    rows = []
    for question in load_task("basics").questions("train")[:40]:
        candidates = []
        for number in range(4):
            correct = (number + len(rows)) % 3 == 0
            said = RIGHT_TOKEN if correct else WRONG_TOKEN
            ids = [draw.randrange(6, 60) for _ in range(draw.randrange(2, 6))]
            candidates.append(StoredCandidate("", [*ids, said, 2], correct, None))
        rows.append(PromptCandidates(question.id, question.prompt, question.reference, candidates))
    return rows


@pytest.fixture
def candidates_file(tmp_path, prompts):
    path = tmp_path / "a.jsonl"
    append_candidates(path, prompts)
    settings = {"model": "tiny/llama", "task": "basics", "split": "train", "seed": 0}
    write_header(path, {**settings, "num_return_sequences": 4, "sampling": {}})
    return path


@pytest.fixture(scope="module")
def features(model, tokenizer, prompts, tmp_path_factory) -> Features:
    folder = tmp_path_factory.mktemp("features")
    return extract_features(model, tokenizer, prompts, folder, scored_tokens="fed", batch_size=12)


def states_of(features: Features, index: int) -> torch.Tensor:
    """`[L, 1, T, H]` of one candidate."""
    rows = features.states[features.offsets[index] : features.offsets[index + 1]]
    return rows.view(len(rows), features.num_layers, features.hidden_size).permute(1, 0, 2)[:, None]


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
def test_features_are_the_states_of_the_scored_tokens(
    model, tokenizer, prompts, tmp_path, scored_tokens
):
    few = prompts[:5]
    features = extract_features(
        model, tokenizer, few, tmp_path, scored_tokens=scored_tokens, batch_size=8
    )
    index = 0
    for prompt in few:
        (prompt_ids,) = render_prompts(tokenizer, [[{"role": "user", "content": prompt.prompt}]])
        for candidate in prompt.candidates:
            ids = torch.tensor([prompt_ids + candidate.token_ids])
            with torch.no_grad():
                expected = model(ids, output_hidden_states=True).hidden_states
            end = ids.shape[1] - (1 if scored_tokens == "fed" else 0)
            states = torch.stack([layer[:, len(prompt_ids) : end] for layer in expected])
            torch.testing.assert_close(
                states_of(features, index).float(), states, atol=2e-2, rtol=2e-2
            )  # bfloat16
            index += 1
    assert index == len(features.offsets) - 1


def test_disk_that_is_too_small_is_said_before(model, tokenizer, prompts, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("swift_bon.features.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="need .* GB .* free; use fewer candidates"):
        extract_features(model, tokenizer, prompts, tmp_path, scored_tokens="fed")
    assert list(tmp_path.iterdir()) == []


def groups_of(prompts) -> list[str]:
    return [load_task("basics").group(prompt.id) for prompt in prompts]


def test_fit_learns_and_the_folded_head_gives_its_scores(features, prompts):
    options = TrainingOptions(**OPTIONS)
    head, (fit,) = fit_head(features, prompts, groups_of(prompts), options)
    assert fit.auroc > 0.9
    assert fit.best_of_n > 2 * fit.random
    data = fitting._TrainingData.build(features, prompts, groups_of(prompts), options)
    with torch.no_grad():
        scores = torch.cat(
            [score_candidates(states_of(features, i), head) for i in data.validation]
        )
    correct = data.correct[data.validation]
    assert auroc(scores, correct) == fit.auroc
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, correct.float())
    assert float(loss) == pytest.approx(fit.loss, abs=1e-4)


def test_best_epoch_is_restored(features, prompts, monkeypatch):
    """Validation losses are scripted: the head of the best epoch must come back, not the last."""
    script = iter([0.9, 0.2, 0.5, 0.6, 0.7, 0.8])
    seen = []
    validate = fitting._validate

    def scripted(module, data):
        seen.append({name: value.clone() for name, value in module.state_dict().items()})
        return {**validate(module, data), "loss": next(script)}

    monkeypatch.setattr(fitting, "_validate", scripted)
    restored = []
    fold = fitting._StandardisedHead.to_reward_head

    def remember(module, *args):
        restored.append({name: value.clone() for name, value in module.state_dict().items()})
        return fold(module, *args)

    monkeypatch.setattr(fitting._StandardisedHead, "to_reward_head", remember)
    options = TrainingOptions(**{**OPTIONS, "epochs": 6, "patience": 3})
    _, (fit,) = fit_head(features, prompts, groups_of(prompts), options)
    assert fit.epoch == 1
    assert fit.loss == 0.2
    assert len(fit.history) == 5  # three epochs without a better loss end the fit
    assert torch.equal(restored[0]["weight"], seen[1]["weight"])
    assert not torch.equal(restored[0]["weight"], seen[-1]["weight"])


def test_groups_stand_on_one_side(features, prompts):
    groups = [f"group {index // 4}" for index in range(len(prompts))]
    options = TrainingOptions(**OPTIONS)
    data = fitting._TrainingData.build(features, prompts, groups, options)
    sides = [
        {groups[prompt] for prompt in data.prompt_of[side].tolist()}
        for side in (data.train, data.validation)
    ]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(groups)


def test_seeds_are_reproducible_and_differ(features, prompts):
    options = TrainingOptions(**{**OPTIONS, "seeds": (0, 1, 0), "epochs": 2})
    _, fits = fit_head(features, prompts, groups_of(prompts), options)
    assert fits[0].history == fits[2].history
    assert fits[0].history != fits[1].history


def test_ungated(features, prompts):
    options = TrainingOptions(**OPTIONS, gated=False)
    head, (fit,) = fit_head(features, prompts, groups_of(prompts), options)
    assert not head.gated
    assert fit.auroc > 0.9


def test_train_saves_a_head_with_its_card(model, tokenizer, candidates_file, tmp_path):
    output = tmp_path / "head"
    head, report = train(model, tokenizer, candidates_file, output, **OPTIONS)
    loaded = RewardHead.from_pretrained(output)
    assert loaded.base_model == "tiny/llama"
    assert torch.equal(loaded.reward_weight, head.reward_weight)
    assert "best-of-N" in (output / "README.md").read_text()
    assert json.loads((output / "training.json").read_text())["fits"] == json.loads(
        json.dumps(report["fits"])
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "a.header.json", "head"}


def test_candidates_of_another_model(model, tokenizer, candidates_file, tmp_path):
    settings = json.loads((tmp_path / "a.header.json").read_text())
    write_header(candidates_file, {**settings, "model": "other/model"})
    with pytest.raises(ValueError, match="was written by the model 'other/model'"):
        train(model, tokenizer, candidates_file, tmp_path / "head", **OPTIONS)


def test_nan_in_a_state(features, prompts):
    states = features.states.clone()
    states[3, 5] = float("nan")
    damaged = Features(states, features.offsets, features.num_layers, features.hidden_size)
    with pytest.raises(ValueError, match="hidden states of the candidates hold NaN or inf"):
        fit_head(damaged, prompts, groups_of(prompts), TrainingOptions(**OPTIONS))


def test_loss_that_is_not_finite(features, prompts):
    options = TrainingOptions(**{**OPTIONS, "learning_rate": 1e30})
    with pytest.raises(ValueError, match="the validation loss is (nan|inf) in epoch . of seed 0"):
        fit_head(features, prompts, groups_of(prompts), options)


@pytest.mark.parametrize("verdict", [True, False], ids=["all-right", "all-wrong"])
def test_nothing_to_learn(features, prompts, verdict):
    same = [
        PromptCandidates(
            p.id,
            p.prompt,
            p.reference,
            [StoredCandidate(c.text, c.token_ids, verdict, None) for c in p.candidates],
        )
        for p in prompts
    ]
    with pytest.raises(ValueError, match="expected right and wrong ones"):
        fit_head(features, same, groups_of(prompts), TrainingOptions(**OPTIONS))
