"""The command line: every command runs, prints JSON when asked, and says what is wrong."""

import json

import pytest
import torch
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from swift_bon.candidates.files import read_candidates
from swift_bon.cli import app
from swift_kernels import RewardHead


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model_and_head(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def run(folder):
    def run(*arguments, stdin: str | None = None):
        texts = [str(argument) for argument in arguments]
        if "--model" not in texts and texts[0] not in ("evaluate", "convert"):
            texts += ["--model", str(folder / "model")]
        return CliRunner().invoke(app, texts, input=stdin)

    return run


def last_json(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_generate_json(run, folder):
    result = run(
        "generate",
        "abc",
        "de f",
        "-n",
        3,
        "--max-new-tokens",
        5,
        "--head",
        folder / "head",
        "--json",
    )
    record = last_json(result)
    assert result.stdout.count("\n") == 1
    assert [row["prompt"] for row in record["results"]] == ["abc", "de f"]
    for row in record["results"]:
        assert len(row["candidates"]) == 3
        for candidate in row["candidates"]:
            assert candidate.keys() == {"text", "score", "token_ids", "mean_logprob"}
        assert row["text"] == row["candidates"][row["index"]]["text"]
        scores = [c["score"] for c in row["candidates"] if c["score"] is not None]
        assert not scores or row["score"] == max(scores)


def test_generate_table_and_prompts_from_everywhere(run, folder, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("from a file\n\n")
    options = ("-n", 2, "--max-new-tokens", 3, "--head", folder / "head")
    result = run("generate", "argument", "-", "--file", file, *options, stdin="from stdin\n")
    assert result.exit_code == 0, result.output
    for text in ("argument", "from stdin", "from a file", "pick", "score"):
        assert text in result.stdout


def test_demo_ends_with_json(run, folder):
    result = run("demo", "--questions", 3, "--samples", 2, "--head", folder / "head")
    record = last_json(result)
    assert {"random", "mean_logprob", "swift", "oracle"} <= record.keys()
    assert record["questions"] == 3
    assert record["samples"] == 2
    assert record["tokens_per_second"] > 0
    assert record["tokens_per_second_without_scoring"] > 0
    assert "SWIFT's pick" in result.stdout


def test_collect_then_evaluate(run, folder, tmp_path):
    path = tmp_path / "test.jsonl"
    options = ("--limit", 4, "-n", 2, "--head", folder / "head", "--split", "test", "--json")
    record = last_json(run("collect", path, *options))
    assert (record["num_prompts"], record["num_candidates"]) == (4, 8)
    assert len(read_candidates(path)) == 4
    record = last_json(run("evaluate", path, "--num-draws", 50, "--json"))
    assert {"random", "mean_logprob", "swift", "oracle", "intervals"} <= record.keys()
    assert "oracle" in run("evaluate", path).stdout


def test_convert(run, tmp_path):
    weight = torch.randn(2, 3 * 5)
    torch.save(
        {"fused_layer.weight": weight, "fused_layer.bias": torch.zeros(2)}, tmp_path / "head.pt"
    )
    options = ("--num-layers", 3, "--hidden-size", 5, "--base-model", "a/b", "--json")
    record = last_json(run("convert", tmp_path / "head.pt", tmp_path / "head", *options))
    assert record["gated"] is True
    head = RewardHead.from_pretrained(tmp_path / "head")
    assert torch.equal(head.reward_weight.flatten(), weight[1])
    assert head.base_model == "a/b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate",), "there are no prompts"),
        (("generate", "abc"), "no head ships for the model"),
        (("generate", "abc", "--head", "/no/such/folder"), "there is no folder"),
        (("demo", "--questions", "0", "--head", "{head}"), "questions is 0"),
        (("demo", "--questions", "100000", "--head", "{head}"), "the test split has"),
        (("demo", "--samples", "0", "--head", "{head}"), "samples is 0, expected at least 1"),
        (("evaluate", "{tmp}/none.jsonl"), "there is no candidates file"),
    ],
)
def test_errors_are_one_line(run, folder, tmp_path, arguments, message):
    filled = [text.format(head=folder / "head", tmp=tmp_path) for text in arguments]
    result = run(*filled)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.output
