"""The commands collect and import: every flag reaches its function."""

import json

import pytest
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from swift_bon.candidates.files import read_candidates, read_header
from swift_bon.cli import app
from tiny_models import CHAT_TEMPLATE, EOS, VOCAB, tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model_and_head(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def run(folder):
    def run(*arguments):
        texts = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, [*texts, "--model", str(folder / "model"), "--json"])

    return run


def last_json(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


def right_if_short(question, text) -> bool:
    return len(text) < len(question.reference)


def test_collect_own_questions(run, folder, tmp_path):
    data, path = tmp_path / "mine.jsonl", tmp_path / "a.jsonl"
    questions = [{"prompt": f"say {word}", "reference": word} for word in ("abc", "de", "f")]
    data.write_text("".join(json.dumps(question) + "\n" for question in questions))
    result = run(
        *("collect", path, "--task", "own", "--data", data, "--split", "test", "-n", 2),
        *("--grader", "test_cli_collection:right_if_short", "--limit", 2, "--max-new-tokens", 5),
        *("--temperature", 0.7, "--top-p", 0.9, "--top-k", 7, "--seed", 3),
        *("--head", folder / "head", "--confidence-window", 4, "--no-token-scores"),
    )
    record = last_json(result)
    assert (record["num_prompts"], record["num_candidates"]) == (2, 4)
    prompts, header = read_candidates(path), read_header(path)
    assert [prompt.prompt for prompt in prompts] == ["say abc", "say de"]
    for prompt in prompts:
        for candidate in prompt.candidates:
            assert candidate.correct == (len(candidate.text) < len(prompt.reference))
            assert len(candidate.token_ids) <= 5
            assert candidate.token_scores is None
    assert header["sampling"] == {
        "max_new_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 7,
    }
    assert header["grader"] == "test_cli_collection:right_if_short"
    assert (header["task"], header["seed"], header["confidence_window"]) == ("own", 3, 4)


def test_token_scores_are_stored_by_default(run, folder, tmp_path):
    path = tmp_path / "a.jsonl"
    last_json(run("collect", path, "--limit", 1, "-n", 2, "--head", folder / "head"))
    assert all(c.token_scores is not None for p in read_candidates(path) for c in p.candidates)
    assert read_header(path)["sampling"]["max_new_tokens"] == 24


def test_arguments_of_the_chat_template(tmp_path):
    save_model_and_head(tmp_path)
    template = "{% if enable_thinking %}T{% endif %}" + CHAT_TEMPLATE
    tiny_tokenizer(template).save_pretrained(tmp_path / "model")
    arguments = ("--chat-template-kwargs", '{"enable_thinking": true}')
    common = ("--model", tmp_path / "model", *arguments)

    def ids(*command):
        result = CliRunner().invoke(app, [str(part) for part in (*command, *common)])
        assert result.exit_code == 0, result.output
        (prompt,) = read_candidates(command[-1])
        assert read_header(command[-1])["chat_template_kwargs"] == {"enable_thinking": True}
        return prompt.prompt_token_ids

    rollout = {"prompt": "p", "reference": "b", "completions": ["b"], "correctness": [1]}
    (tmp_path / "theirs.json").write_text(json.dumps([rollout]))
    thinking = VOCAB["T"]
    short = ("--limit", 1, "-n", 2, "--max-new-tokens", 3)
    assert ids("collect", *short, tmp_path / "a.jsonl")[0] == thinking
    imported = ("import", tmp_path / "theirs.json", "--task", "own", tmp_path / "b.jsonl")
    assert ids(*imported)[0] == thinking
    for command in ("generate", "inspect"):
        parts = (command, "p", "-n", 2, "--head", tmp_path / "head", *common)
        output = ("--output", tmp_path / "p.html") if command == "inspect" else ()
        result = CliRunner().invoke(app, [*map(str, (*parts, *output))])
        assert result.exit_code == 0, result.output
        refused = [*map(str, parts[:-1]), "{tools}"]
        result = CliRunner().invoke(app, refused)
        assert result.exit_code == 1
        assert "--chat-template-kwargs is '{tools}', expected a JSON object" in result.output
        refused[-1] = '{"tokenize": false}'
        assert "chat_template_kwargs has 'tokenize'" in CliRunner().invoke(app, refused).output


def test_import(run, folder, tmp_path):
    source, path = tmp_path / "rollouts.json", tmp_path / "a.jsonl"
    record = {
        "prompt": "one plus one",
        "reference": "b",
        "completions": ["the answer is b", "c"],
        "correctness": [True, False],
        "steps": [["the answer is b"], ["c"]],
    }
    source.write_text(json.dumps([record]))
    result = run(
        *("import", source, path, "--task", "sums", "--split", "test", "--instruction", "think! "),
        *("--grader", "text", "--max-new-tokens", 15),
    )
    report = last_json(result)
    assert (report["num_prompts"], report["num_candidates"], report["num_correct"]) == (1, 2, 1)
    (prompt,) = read_candidates(path)
    assert prompt.prompt == "think! one plus one"
    assert [candidate.correct for candidate in prompt.candidates] == [True, False]
    ends = [candidate.token_ids[-1] == EOS for candidate in prompt.candidates]
    assert ends == [False, True]  # the first has fifteen tokens: it was cut off
    header = read_header(path)
    assert (header["task"], header["split"]) == ("sums", "test")
    assert header["model"] == str(folder / "model")


@pytest.mark.parametrize("name", ["gone.json", "."])
def test_import_looks_at_its_files_before_it_loads_a_tokenizer(tmp_path, name):
    source, taken = tmp_path / "theirs.json", tmp_path / "a.jsonl"
    source.write_text("[]", encoding="utf-8")
    taken.touch()
    options = ["--task", "own", "--model", "own/none"]  # which cannot be loaded
    new = str(tmp_path / "b.jsonl")
    result = CliRunner().invoke(app, ["import", str(tmp_path / name), new, *options])
    assert (result.exit_code, "own/none" in result.stderr) == (1, False)
    assert f"error: there is no file {tmp_path / name}; give one of JSON" in result.stderr
    result = CliRunner().invoke(app, ["import", str(source), str(taken), *options])
    assert f"path is '{taken}', which exists" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("collect", "{tmp}/a.jsonl", "--task", "sums"), "task is 'sums', expected one of: basics"),
        (("collect", "{tmp}/a.jsonl", "--task", "own"), "task is 'own' without data"),
        (("collect", "{tmp}/a.jsonl", "--data", "{tmp}/no.jsonl"), "expected a file of JSON lines"),
        (("collect", "{tmp}/a.jsonl", "--max-new-tokens", "0"), "max_new_tokens"),
        (("import", "{tmp}/no.json", "{tmp}/a.jsonl", "--task", "math"), "no.json"),
    ],
)
def test_errors_are_one_line(run, tmp_path, arguments, message):
    result = run(*(text.format(tmp=tmp_path) for text in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "a.jsonl").exists()
