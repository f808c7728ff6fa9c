"""Candidates on disk: JSON lines, one prompt a line, and a header file beside them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from swift_bon.candidates.lines import parse_line, to_line
from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.storage import append_lines, parse_json, whole_file, write_whole

# What else a header may have, as older ones have less.
HEADER_KINDS = {
    "scores": (list, "a list of names"),
    "added_scores": (dict, "an object, by name what gave them"),
    "head": (str | None, "a digest or null"),
    "model_fingerprint": (str | None, "text or null"),
    "chat_template_kwargs": (dict | None, "an object or null"),
}


def path_beside(path: Path, ending: str) -> Path:
    """`runs/train.jsonl` has beside it what is named `runs/train` with this ending.

    Raises:
        ValueError: the path has no name, as "." and "/" have none.
    """
    if not path.name:
        raise ValueError(f"path is {str(path)!r}, expected a candidates file, as runs/train.jsonl")
    return path.with_name(path.name.removesuffix(".jsonl") + ending)


def header_path(path: Path) -> Path:
    """`runs/train.jsonl` has its sampling settings in `runs/train.header.json`."""
    return path_beside(path, ".header.json")


def read_header(path: str | Path) -> dict[str, Any]:
    """The settings the candidates were sampled with.

    Raises:
        FileNotFoundError, ValueError: no header beside the file, or not JSON.

    >>> from pathlib import Path
    >>> from swift_bon.candidates import read_header
    >>> settings = '{"model": "smollm2-135m", "task": "basics", "split": "test"}'
    >>> _ = Path("test.header.json").write_text(settings)
    >>> read_header("test.jsonl")["task"]
    'basics'
    """
    header = header_path(Path(path))
    if not header.is_file():
        raise FileNotFoundError(
            f"there is no header {header} beside {path}; collect writes both, keep them together"
        )
    try:
        settings = parse_json(header.read_bytes())
    except ValueError as error:
        raise ValueError(f"{header} is not JSON: {error}") from error
    if not isinstance(settings, dict) or not all(
        isinstance(settings.get(name), str) for name in ("model", "task", "split")
    ):
        raise ValueError(
            f"{header} is not a header of candidates: expected the names of model, task and split"
        )
    for name, (kind, words) in HEADER_KINDS.items():
        if name in settings and not isinstance(settings[name], kind):
            raise ValueError(
                f"{header} is not a header of candidates: {name} is "
                f"{type(settings[name]).__name__}, expected {words}"
            )
    origins = settings.get("added_scores", {}).values()
    if not all(isinstance(name, str) for name in settings.get("scores", [])) or not all(
        isinstance(origin, dict) for origin in origins
    ):
        raise ValueError(
            f"{header} is not a header of candidates: scores are not names, or added_scores not "
            "what gave each of them"
        )
    return settings


def write_header(path: Path, settings: dict[str, Any]) -> None:
    write_whole(header_path(path), json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def read_candidates(path: str | Path) -> list[PromptCandidates]:
    """All prompts of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not what it should be, or an id comes twice; names the line.

    >>> import json
    >>> from pathlib import Path
    >>> from swift_bon.candidates import read_candidates
    >>> candidate = {"text": "42", "token_ids": [5, 2], "correct": True}
    >>> prompt = {"id": "own/test/0", "prompt": "What is 6 x 7?", "candidates": [candidate]}
    >>> _ = Path("test.jsonl").write_text(json.dumps(prompt))
    >>> read_candidates("test.jsonl")[0].candidates[0].text
    '42'
    """
    return list(iterate_candidates(path))


def read_labels(path: str | Path) -> list[PromptLabels]:
    """All prompts of a file, without their texts and tokens. Raises as `read_candidates`."""
    return [
        PromptLabels(prompt.id, prompt.digest, prompt.prompt_digest, prompt.correct)
        for prompt in iterate_candidates(path)
    ]


def iterate_candidates(path: str | Path, end: int | None = None) -> Iterator[PromptCandidates]:
    """One prompt after the other, so that a large file need not be held. As `read_candidates`.

    `end`: bytes of the file to read, where lines may be added meanwhile.

    >>> import json
    >>> from pathlib import Path
    >>> from swift_bon.candidates import iterate_candidates
    >>> candidate = {"text": "42", "token_ids": [5, 2], "correct": True}
    >>> prompt = {"id": "own/test/0", "prompt": "What is 6 x 7?", "candidates": [candidate]}
    >>> _ = Path("test.jsonl").write_text(json.dumps(prompt))
    >>> [prompt.id for prompt in iterate_candidates("test.jsonl")]
    ['own/test/0']
    """
    path = check_file(Path(path))
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            end = None if end is None else end - len(line)
            if end is not None and end < 0:
                return
            prompt = parse_line(line, f"line {number} of {path}")
            if prompt.id in seen:
                raise ValueError(f"line {number} of {path}: id {prompt.id!r} comes twice")
            seen.add(prompt.id)
            yield prompt


def check_file(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no candidates file {path}; make one with swift-bon collect"
        )
    return path


def append_candidates(path: Path, prompts: list[PromptCandidates]) -> None:
    append_lines(path, [to_line(prompt) for prompt in prompts])


def replace_candidates(path: Path, prompts: Iterable[PromptCandidates]) -> None:
    """Write a file anew, as a whole; the prompts may be read from the old one meanwhile."""
    with whole_file(path) as file:
        for prompt in prompts:
            file.write(to_line(prompt).encode())


def check_has_prompts(prompts: Sequence, path: str | Path) -> None:
    if not prompts:
        raise ValueError(f"{path} has no prompts; collect some first")
