"""The command that proves a model: its table, its JSON and its exit codes."""

import json

import peft
import pytest
import torch
import transformers
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from doctor_cases import NAMES
from swift_bon.cli import app
from swift_kernels import RewardHead
from tiny_models import build, tiny_model, tiny_tokenizer

SHORT = ("--samples", "2", "--max-new-tokens", "3")
BERT = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a head and an adapter for it, a head for another, and a model that is refused."""
    folder = save_model_and_head(tmp_path_factory.mktemp("doctor"))
    RewardHead(9, 48).save_pretrained(folder / "another")
    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        peft.get_peft_model(tiny_model("llama"), config).save_pretrained(folder / "lora")
    encoder = build(transformers.BertLMHeadModel, transformers.BertConfig(vocab_size=64, **BERT))
    encoder.save_pretrained(folder / "encoder")
    tiny_tokenizer().save_pretrained(folder / "encoder")
    return folder


def run(folder, *options, model: str = "model"):
    given = [str(option) for option in options]
    return CliRunner(env={"COLUMNS": "300"}).invoke(
        app, ["doctor", str(folder / model), *SHORT, *given]
    )


def report_of(result) -> dict:
    """The one line of standard output."""
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def statuses(report: dict) -> dict:
    return {check["name"]: check["status"] for check in report["checks"]}


def test_a_green_table(folder):
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert f"{folder / 'model'}, torch.float32" in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert [name for line in lines if (name := line.split("│")[1].strip())] == list(NAMES)
    assert "passed" in result.stdout
    assert "failed" not in result.stdout
    assert result.stdout.endswith("\nAll that was compared is right.\n")


@pytest.mark.parametrize(
    ("options", "model", "red", "advice"),
    [
        (("--head", "another"), "model", "head", "head: train a head for this model"),
        ((), "encoder", "accepted", "accepted: best-of-N has nothing to say about this model"),
    ],
    ids=["head-of-another-model", "encoder"],
)
def test_a_red_table_ends_with_what_to_do(folder, options, model, red, advice):
    options = [folder / option if option == "another" else option for option in options]
    result = run(folder, *options, model=model)
    assert result.exit_code == 1
    assert "failed" in result.stdout
    _, _, last = result.stdout.rpartition("┘\n")
    assert last.startswith(advice)
    assert last.count("\n") == 1  # one advice for one red
    report = report_of(run(folder, *options, "--json", model=model))
    assert [name for name, status in statuses(report).items() if status == "failed"] == [red]
    assert report["passed"] is False


def test_json_is_all_of_standard_output(folder):
    result = run(folder, "--head", folder / "head", "--json")
    assert result.exit_code == 0, result.output
    report = report_of(result)
    assert report["passed"] is True
    assert report["model"] == str(folder / "model")
    assert statuses(report) == dict.fromkeys(NAMES, "passed")


def test_an_adapter_is_put_on_the_model(folder):
    reports = [
        report_of(run(folder, "--head", folder / "head", *options, "--json"))
        for options in ((), ("--adapter", folder / "lora"))
    ]
    plain, adapted = (
        {check["name"]: check["measured"] for check in report["checks"]} for report in reports
    )
    assert [report["passed"] for report in reports] == [True, True]
    assert plain["scores"] != adapted["scores"]  # other texts
    assert plain["features"] != adapted["features"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("hello\n\n  \nwhat is it?\n", 2),
        ('{"prompt": "hello"}\n{"prompt": "what is it?"}\n{"prompt": "no"}\n', 3),
    ],
    ids=["lines", "json-lines"],  # the latter are prompts as they are, as for generate --file
)
def test_prompts_of_a_file_are_one_a_line(folder, tmp_path, text, count):
    (tmp_path / "prompts.txt").write_text(text)
    report = report_of(run(folder, "--prompts", tmp_path / "prompts.txt", "--json"))
    lengths = [
        len(
            tiny_tokenizer().apply_chat_template(
                [{"role": "user", "content": line}], add_generation_prompt=True
            )["input_ids"]
        )
        for line in text.splitlines()
        if line.strip()
    ]
    assert report["checks"][0]["words"] == (
        f"{count} prompts of {', '.join(map(str, lengths))} tokens"
    )
    assert report["passed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prompts", "none.txt"), "there is no file none.txt; --prompts takes one with a prompt"),
        (("--head", "none"), "--head: head is 'none': there is no such folder"),
        (("--adapter", "none"), "none"),
        (("--samples", "0"), "--samples: num_return_sequences is 0, expected at least 1"),
        (("--dtype", "int8"), "--dtype: dtype is 'int8', expected one of float32, bfloat16"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line(folder, options, message):
    result = run(folder, *options)
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_a_file_without_prompts_is_named(folder, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    result = run(folder, "--prompts", tmp_path / "empty.txt")
    assert result.exit_code == 1
    assert "empty.txt; --prompts takes one a line" in result.stderr


def test_a_model_that_is_not_there_is_one_line(folder):
    result = run(folder, model="nowhere")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr.splitlines()[-1]
