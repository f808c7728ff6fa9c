"""What the command line says of itself: light, and in sentences with the defaults in them."""

import re
import subprocess
import sys
from dataclasses import fields

import pytest
import typer.main
from typer.testing import CliRunner

import swift_kernels
from swift_bon.cli import app
from swift_bon.cli.version import version
from swift_bon.collection.runs import SAMPLING_DEFAULTS
from swift_bon.fitting.losses import LOSSES
from swift_bon.fitting.options import FitOptions
from swift_bon.graders import GRADERS
from swift_bon.tasks import TASKS

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands
PARAMETERS = {
    f"{name} {parameter.name}": parameter
    for name, command in {"swift-bon": GROUP, **COMMANDS}.items()
    for parameter in command.params
    if not parameter.name.endswith("completion")  # Typer's own
}


def is_sentence(text: str | None) -> bool:
    return bool(text) and text[0].isupper() and text.endswith(".") and len(text.split()) >= 3


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_has_a_sentence_with_its_default(name):
    parameter = PARAMETERS[name]
    assert is_sentence(parameter.help), parameter.help
    if not parameter.required and parameter.default in (None, ""):
        assert "if left out" in parameter.help
    else:
        assert "if left out" not in parameter.help
        assert parameter.required or parameter.is_flag or parameter.show_default


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_sentence(name):
    assert is_sentence(COMMANDS[name].help.split("\n\n")[0].replace("\n", " "))


def help_of(command: str, option: str) -> str:
    return PARAMETERS[f"{command} {option}"].help


def test_the_defaults_are_those_of_the_functions():
    for name, value in SAMPLING_DEFAULTS.items():
        assert re.search(
            rf"\b{value}\b.* if left out|if left out {value}\b", help_of("collect", name)
        )
    for field in fields(FitOptions):
        value = field.default
        if value is None or isinstance(value, bool):
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        assert re.search(rf"\b{shown} if left out", help_of("train", field.name)), field.name
    rates = FitOptions().for_dim(512)
    assert f"{rates.learning_rates[0]:.3f} for 512" in help_of("train", "learning_rates")
    assert f"{rates.weight_decay:.1f} for 512" in help_of("train", "weight_decay")


def test_the_choices_are_those_of_the_functions():
    for names, command, option in (
        (TASKS, "collect", "task"),
        (GRADERS, "collect", "grader"),
        (LOSSES, "train", "loss"),
    ):
        assert set(names) <= set(re.findall(r"\w+", help_of(command, option)))


def test_the_way_of_the_data_is_the_order_of_the_commands():
    assert " ".join(COMMANDS) == (
        "demo generate collect import extract train score evaluate inspect doctor convert"
    )


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"swift-bon {swift_kernels.__version__}\n"
    assert version() == swift_kernels.__version__


def test_help_and_version_are_light():
    """Those of the app, and the help of every command, in one process that takes no warning."""
    calls = [["--version"], ["--help"], *([command, "--help"] for command in COMMANDS)]
    code = (
        "import sys\n"
        "from swift_bon.cli import app\n"
        f"for call in {calls}: app(call, standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.count("--help") > len(COMMANDS)
    heavy = {"torch", "transformers", "triton", "matplotlib", "numpy"}
    assert not heavy & set(run.stderr.split())
