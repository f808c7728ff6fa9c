"""The commands evaluate and inspect: files written, flags passed on, errors in one line."""

import json

import pytest
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from evaluation_cases import random_prompts
from swift_bon.candidates.files import append_candidates
from swift_bon.cli import app


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, random_prompts(12, 3, reward=True))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model_and_head(tmp_path_factory.mktemp("cli"))


def run(*arguments, stdin: str | None = None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def test_evaluate_prints_tables_and_writes_the_report(path):
    result = run("evaluate", path, "--num-draws", 20)
    assert result.exit_code == 0, result.output
    for text in ("accuracy of the pick", "SWIFT's pick against the others", "Judge-7B"):
        assert text in result.stdout
    files = {file.name for file in path.parent.iterdir()}
    assert files == {"a.jsonl", *(f"a.evaluation.{e}" for e in ("json", "png", "html"))}
    assert "a.evaluation.html" in result.stdout.replace("\n", "")


def test_evaluate_json_is_the_record_alone(path):
    result = run("evaluate", path, "--num-draws", 20, "--seed", 3, "--json")
    assert result.stdout.count("\n") == 1
    record = json.loads(result.stdout)
    assert record == json.loads((path.parent / "a.evaluation.json").read_text())
    assert (record["num_draws"], record["seed"]) == (20, 3)


def test_evaluate_options(path):
    options = ("--combine", "length+Judge-7B", "--combine", "swift+length", "--no-report")
    result = run("evaluate", path, *options, "--reference", "Judge-7B", "--json")
    record = json.loads(result.stdout)
    names = [method["name"] for method in record["methods"] if method["family"] == "combination"]
    assert {name.rsplit(" ", 2)[0].split(" ")[0] for name in names} == {
        "length+Judge-7B",
        "swift+length",
    }
    assert record["reference"] == "Judge-7B"
    assert [file.name for file in path.parent.iterdir()] == ["a.jsonl"]
    assert run("evaluate", path, "--output", path.parent / "b").exit_code == 0
    assert (path.parent / "b.html").is_file()


def test_inspect_a_stored_prompt(path, tmp_path):
    output = tmp_path / "page.html"
    result = run("inspect", "--file", path, "--id", "q7", "--output", output, "--json")
    assert json.loads(result.stdout) == {"output": str(output)}
    page = output.read_text()
    assert "question 7?" in page
    assert "question 8?" not in page


@pytest.mark.parametrize("stdin", [None, "say\nabc"])
def test_inspect_a_prompt(folder, tmp_path, stdin):
    output = tmp_path / "page.html"
    options = ("--model", folder / "model", "--head", folder / "head", "--output", output)
    prompt = "say abc" if stdin is None else "-"
    result = run("inspect", prompt, "-n", 3, "--max-new-tokens", 5, *options, stdin=stdin)
    assert result.exit_code == 0, result.output
    page = output.read_text()
    assert "say abc" in page if stdin is None else "say\\nabc" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "{path}", "--combine", "swift+gold"), "combine has 'swift+gold'"),
        (("evaluate", "{path}", "--combine", "swift"), "combine has 'swift', expected two"),
        (("evaluate", "{path}", "--num-draws", "0"), "num_draws is 0"),
        (("evaluate", "{path}", "--no-report", "--output", "b"), "exclude each other"),
        (("inspect",), "give either a prompt or --file with --id"),
        (("inspect", "abc", "--file", "{path}", "--id", "q1"), "give either a prompt or --file"),
        (("inspect", "--file", "{path}"), "--file and --id belong together"),
        (("inspect", "abc", "--id", "q1"), "--file and --id belong together"),
        (("inspect", "--file", "{path}", "--id", "q99"), "id is 'q99', expected one of the ids"),
        (("inspect", "abc", "--model", "none"), "no head ships for the model 'none'"),
    ],
)
def test_errors_are_one_line(path, arguments, message):
    result = run(*(text.format(path=path) for text in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.output
    assert not list(path.parent.glob("*.html"))
