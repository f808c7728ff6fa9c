"""Write docs/command-line.md from the commands, so that it says what `--help` says.

python docs/command_line.py
"""

from pathlib import Path
from typing import Any

from typer.main import get_command

from swift_bon.cli import app

PAGE = Path(__file__).with_name("command-line.md")
HEAD = """# Command line

Made from the commands by `make docs`; `swift-bon COMMAND --help` says the same. Each flag is a
parameter of the function that the command calls. Errors are one line, and the exit code is 1.
"""
HIDDEN = ("help", "install_completion", "show_completion")


def command_line() -> str:
    """The page as Markdown."""
    group = get_command(app)
    sections = [
        f"## swift-bon {name}\n\n{_command(f'swift-bon {name}', command)}"
        for name, command in group.commands.items()
    ]
    shared = _options(group)
    if shared:
        sections.insert(0, f"## swift-bon\n\n{_table('option', shared)}")
    return "\n".join([HEAD, *(f"{section}\n" for section in sections)])


def _command(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join([name, *(_usage(argument) for argument in arguments), "[OPTIONS]"])
    parts = [" ".join(command.help.split()), f"```\n{usage}\n```"]
    if arguments:
        rows = [(f"`{_metavar(param)}`", _text(param), "") for param in arguments]
        parts.append(_table("argument", rows))
    parts.append(_table("option", _options(command)))
    return "\n\n".join(parts)


def _options(command: Any) -> list[tuple[str, str, str]]:
    return [
        (
            ", ".join(f"`{flag}`" for flag in (*param.opts, *param.secondary_opts)),
            _text(param),
            _default(param),
        )
        for param in command.params
        if param.param_type_name == "option" and param.name not in HIDDEN
    ]


def _usage(argument: Any) -> str:
    dots = "..." if argument.nargs == -1 or argument.multiple else ""
    return f"{_metavar(argument)}{dots}" if argument.required else f"[{_metavar(argument)}{dots}]"


def _metavar(argument: Any) -> str:
    return argument.name.upper()


def _text(param: Any) -> str:
    return " ".join((param.help or "").split()).replace("|", r"\|")


def _default(param: Any) -> str:
    """What stands in the function, if it is more than "not given"."""
    default = param.default
    if callable(default) or default is None or default == () or default is False:
        return ""
    return f"`{param.opts[0]}`" if default is True else f"`{default}`"


def _table(kind: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [(kind, "what it says", "default"), ("---", "---", "---"), *rows]
    if kind == "argument":
        lines = [line[:2] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(command_line(), encoding="utf-8")
