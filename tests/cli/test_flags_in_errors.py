"""An error that names a parameter names the flag, too; and what was raw before."""

import re

import pytest
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from swift_bon import evaluation, generation
from swift_bon.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model_and_head(tmp_path_factory.mktemp("flags"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--samples", "0"), "error: --samples: num_return_sequences is 0, expected at least 1"),
        (("--batch-size", "-3"), "error: --batch-size: batch_size is -3"),
        (("--top-p", "1.5"), "error: --top-p: top_p is 1.5, expected a share above 0"),
        (("--top-k", "-3"), "error: --top-k: top_k is -3, expected at least 0"),
        (("--top-p", "0"), "error: --top-p: top_p is 0.0, expected a share above 0"),
        (("--head", "none"), "error: --head: head is 'none': there is no such folder"),
        (("--file", "none.txt"), "error: there is no file none.txt; --file takes one"),
    ],
)
def test_generate(folder, options, message):
    given = {"--head": folder / "head"} | dict([options])
    given = [str(part) for pair in given.items() for part in pair]
    result = CliRunner().invoke(app, ["generate", "hi", "--model", str(folder / "model"), *given])
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("command", ["evaluate", "score", "train", "extract", "inspect"])
def test_a_folder_in_place_of_a_file(folder, command, monkeypatch):
    monkeypatch.chdir(folder)
    given = {"score": ["--model", str(folder / "model"), "--head", str(folder / "head")]}
    given["extract"] = ["--model", str(folder / "model")]
    given["inspect"] = ["--id", "a", "--file"]
    last = ["out"] if command in ("train", "extract") else []
    result = CliRunner().invoke(app, [command, *given.get(command, []), ".", *last])
    assert result.exit_code == 1
    said = r"error: (path is '\.', expected a candidates|there is no candidates) file"
    assert re.match(said, result.stderr)


@pytest.mark.parametrize("command", ["generate", "inspect"])
def test_top_k_is_passed_on(folder, command, tmp_path, monkeypatch):
    seen = []
    name = "best_of_n" if command == "generate" else "inspect_prompt"
    room = generation if command == "generate" else evaluation
    real = getattr(room, name)
    monkeypatch.setattr(room, name, lambda *a, **k: (seen.append(k.get("top_k")), real(*a, **k))[1])
    options = ["--model", str(folder / "model"), "--head", str(folder / "head"), "-n", "2"]
    options += ["--max-new-tokens", "3", "--no-progress"]
    options += ["--output", str(tmp_path / "a.html")] if command == "inspect" else []
    for value in ([], ["--top-k", "0"], ["--top-k", "7"]):
        result = CliRunner().invoke(app, [command, "hi", *options, *value])
        assert result.exit_code == 0, result.stderr
    assert seen == [None, 0, 7]
