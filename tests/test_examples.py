"""Each example runs as it stands, in an empty folder, and says what it promises to."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from swift_kernels import RewardHead, score_candidates

EXAMPLES = Path(__file__).parent.parent / "examples"
LONGEST = 40  # lines


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example in an empty folder: its globals and what it printed."""

    def run_example(name: str, *arguments: str) -> tuple[dict[str, Any], str]:
        path = EXAMPLES / name
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        values = runpy.run_path(str(path), run_name="__main__")
        return values, capsys.readouterr().out

    return run_example


def test_each_is_short_and_run_here():
    source = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        if path.suffix == ".py":
            assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST, path.name
            assert f'run("{path.name}"' in source, path.name


def test_best_of_n(run):
    values, output = run("best_of_n.py")
    for question, result in zip(values["QUESTIONS"], values["results"], strict=True):
        assert f"{question} -> {result.text!r}" in output
        assert result.score == max(candidate.score for candidate in result.candidates)
    assert "The capital of Kenya is Nairobi." in output
    assert output.count("\n") == 2 * (2 + 8)


def test_custom_generate(run):
    values, output = run("custom_generate.py")
    result = values["output"]
    assert len(result.sequences) == 2
    scores = result.candidate_scores.view(2, 8)
    assert (result.best_indices - torch.tensor([0, 8]) == scores.argmax(dim=1)).all()
    assert "capital of Kenya is Nairobi" in output


def test_running_score_in_your_loop(run):
    values, output = run("running_score_in_your_loop.py")
    prompt, written = values["prompt"], torch.cat(values["written"], dim=1)
    model, tokenizer, head = values["model"], values["tokenizer"], values["running"].head
    rows = torch.cat([prompt.expand(len(written), -1), written], dim=1)
    ends = (written == tokenizer.eos_token_id).cumsum(dim=1) > 0
    assert ends[:, :-1].any() and not ends[:, -1].all()  # some end, some are cut off
    ends[:, -1] = True  # never fed to the model
    mask = torch.cat([torch.zeros_like(prompt.expand(len(written), -1)), ~ends], dim=1)
    with torch.no_grad():
        states = model(rows, output_hidden_states=True).hidden_states
        whole = score_candidates(states, head, mask)
    torch.testing.assert_close(values["scores"], whole, rtol=1e-3, atol=1e-3)
    assert f"best: {int(values['scores'].argmax())}" in output


def test_own_task(run):
    values, output = run("own_task.py")
    assert [prompt.prompt for prompt in values["prompts"]] == [
        question["prompt"] for question in values["QUESTIONS"]
    ]
    assert output.count(" of 8 right: Name a ") == 3
    accuracy = values["accuracy"]
    assert 0 < accuracy["random"] < accuracy["oracle"] <= 1  # there is something to choose
    assert f"'swift': {accuracy['swift']:.3f}".rstrip("0") in output


def test_train_a_head(run):
    values, output = run("train_a_head.py", "8")
    head = RewardHead.from_pretrained("my-head")
    assert head.base_model == "smollm2-135m"
    assert torch.equal(head.reward_weight, values["head"].reward_weight)
    assert "right of 64 candidates" in output
    assert f"{values['result'].score:.3f}" in output
