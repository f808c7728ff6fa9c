"""What the command line says of itself: light, and in sentences."""

import subprocess
import sys

import typer.main

from swift_bon.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)


def test_help_is_light():
    """That of the app and of every command, in one process."""
    calls = [[], *([command] for command in COMMANDS)]
    code = (
        "import sys\n"
        "from swift_bon.cli import app\n"
        f"for call in {calls}: app([*call, '--help'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.count("--help") > len(COMMANDS)
    heavy = {"torch", "transformers", "triton", "matplotlib", "numpy"}
    assert not heavy & set(run.stderr.split())
