"""The command that adds scores: a reward model's or a head's, as JSON or in lines."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from feature_cases import HEADER
from scoring_cases import reward_model, score_alone, texted_prompts
from swift_bon.candidates.files import append_candidates, read_candidates, read_header, write_header
from swift_bon.cli.scoring import score
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer

PROMPTS = texted_prompts(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a head for it, and a reward model."""
    folder = tmp_path_factory.mktemp("scoring")
    for name, model in (("model", tiny_model("llama")), ("my-rm", reward_model())):
        model.save_pretrained(folder / name)
        tiny_tokenizer().save_pretrained(folder / name)
    with torch.random.fork_rng():
        RewardHead(4, 32).save_pretrained(folder / "head")
    return folder


@pytest.fixture
def path(folder, tmp_path):
    append_candidates(tmp_path / "a.jsonl", PROMPTS)
    write_header(tmp_path / "a.jsonl", {"model": str(folder / "model"), **HEADER})
    return tmp_path / "a.jsonl"


def run(*arguments):
    app = typer.Typer()
    app.command()(score)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def last_json(result) -> dict:
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_reward_model(folder, path):
    record = last_json(run(path, "--reward-model", folder / "my-rm", "--batch-size", 3, "--json"))
    num_candidates = sum(len(prompt.candidates) for prompt in PROMPTS)
    assert record == {
        "path": str(path),
        "name": "my-rm",
        "num_prompts": 5,
        "num_candidates": num_candidates,
        "num_not_finite": 0,
        "num_skipped": 0,
        "has_token_scores": False,
    }
    found = read_candidates(path)[2].candidates
    expected = [score_alone(reward_model(), PROMPTS[2], number) for number in range(len(found))]
    assert [c.scores["my-rm"] for c in found] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    result = run(path, "--reward-model", folder / "my-rm")
    assert result.exit_code == 0
    assert "num_skipped: 5" in result.stdout


def test_head_and_a_reward_model_of_a_name(folder, path):
    record = last_json(run(path, "--head", folder / "head", "--json"))
    assert (record["name"], record["has_token_scores"]) == ("swift", True)
    record = last_json(run(path, "--reward-model", folder / "my-rm", "--name", "skywork", "--json"))
    assert record["name"] == "skywork"
    assert read_header(path)["added_scores"].keys() == {"swift", "skywork"}
    candidate = read_candidates(path)[2].candidates[1]
    assert candidate.scores.keys() == {"swift", "skywork"}
    assert candidate.token_scores.rewards[0] is not None


def test_head_with_its_model(folder, path):
    options = ("--head", folder / "head", "--model", folder / "model", "--name", "mine")
    assert last_json(run(path, *options, "--json"))["name"] == "mine"
    result = run(path, "--head", folder / "head", "--model", folder / "my-rm")
    assert result.exit_code == 1
    assert "was written by the model" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{path}",), "give either --reward-model or --head"),
        (("{path}", "--head", "{head}", "--reward-model", "{rm}"), "give either"),
        (("{path}", "--reward-model", "{rm}", "--model", "{model}"), "--model is for --head"),
        (("{path}", "--reward-model", "{model}"), "has num_labels 2, expected 1"),
        (("{path}", "--reward-model", "{rm}", "--name", "oracle"), "give it another name"),
        (("{path}", "--reward-model", "{rm}", "--batch-size", "0"), "batch_size is 0"),
        (("{path}", "--reward-model", "/no/such/folder"), "/no/such/folder"),
        (("{path}.none", "--reward-model", "{rm}"), "there is no candidates file"),
        (("{path}.none", "--head", "{head}"), "there is no candidates file"),
        (("{path}", "--head", "/no/such/folder"), "there is no folder"),
    ],
)
def test_errors_are_one_line(folder, path, arguments, message):
    names = {"path": path, "head": folder / "head", "rm": folder / "my-rm"}
    filled = [text.format(**names, model=folder / "model") for text in arguments]
    before = path.read_bytes()
    result = run(*filled)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "error: " in result.stderr
    assert "Traceback" not in result.output
    assert path.read_bytes() == before
