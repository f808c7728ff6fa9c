"""Every command that works long draws how far it is, and is silent when told so."""

import pytest
from typer.testing import CliRunner

from cli_cases import save_model_and_head
from feature_cases import write_candidates
from fit_cases import planted_prompts
from scoring_cases import reward_model
from swift_bon.cli import app
from tiny_models import tiny_tokenizer

ROLLOUTS = '[{"prompt": "p", "reference": "b", "completions": ["b"], "correctness": [true]}]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = save_model_and_head(tmp_path_factory.mktemp("progress"))
    reward_model().save_pretrained(folder / "judge")
    tiny_tokenizer().save_pretrained(folder / "judge")
    return folder


@pytest.fixture
def files(folder, tmp_path):
    """What stands in the arguments, by name."""
    path = write_candidates(tmp_path / "a.jsonl", planted_prompts(), model=str(folder / "model"))
    (tmp_path / "rollouts.json").write_text(ROLLOUTS)
    model, head = f"--model {folder / 'model'}", f"--head {folder / 'head'}"
    return {"path": path, "tmp": tmp_path, "folder": folder, "model": model, "head": head}


COMMANDS = {
    "demo": "demo --questions 2 --samples 2 {model} {head}",
    "generate": "generate abc def -n 2 --batch-size 2 --max-new-tokens 4 {model} {head}",
    "collect": "collect {tmp}/b.jsonl --limit 2 -n 2 {model}",
    "import": "import {tmp}/rollouts.json {tmp}/b.jsonl --task sums {model}",
    "extract": "extract {path} {tmp}/store {model}",
    "train": "train {path} {tmp}/out {model} --epochs 2 --seeds 0 --learning-rates 0.03",
    "score with a head": "score {path} {head}",
    "score with a reward model": "score {path} --reward-model {folder}/judge",
    "evaluate": "evaluate {path} --num-draws 20",
    "inspect": "inspect abc --output {tmp}/a.html -n 2 --max-new-tokens 4 {model} {head}",
}
# A total is known, and there is more than one batch.
BARS = [name for name in COMMANDS if name not in ("demo", "import", "inspect")]


def run(name, files, *options):
    return CliRunner().invoke(app, [*COMMANDS[name].format(**files).split(), *options])


@pytest.fixture
def terminal(monkeypatch):
    """Standard error is a terminal to those who ask, as some bars are for a terminal alone."""
    monkeypatch.setattr("tqdm.std.DisableOnWriteError.isatty", lambda self: True, raising=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_progress_is_silence(files, name, terminal):
    result = run(name, files, "--no-progress")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""


@pytest.mark.parametrize("name", BARS)
def test_without_it_a_bar_is_drawn(files, name, terminal):
    result = run(name, files)
    assert result.exit_code == 0, result.output
    assert "%|" in result.stderr
