"""An error that names a parameter names the flag, too; and what was raw before."""

import pytest
from typer.testing import CliRunner

from cli_cases import save_model_and_head
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
