"""The page as a whole: texts and pictures from Python, questions as data, one style, one script."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template

from swift_bon.candidates.records import PromptCandidates
from swift_bon.candidates.score_names import label
from swift_bon.evaluation.page.calibration import calibration_section
from swift_bon.evaluation.page.curves import curves_section
from swift_bon.evaluation.page.emphasis import methods_of
from swift_bon.evaluation.page.formats import clean, escape
from swift_bon.evaluation.page.levels import legend
from swift_bon.evaluation.page.questions import PackedQuestions, pack_questions
from swift_bon.evaluation.page.summary import facts, footer, summary_section
from swift_bon.evaluation.page.tables import curve_table, method_table
from swift_bon.evaluation.record_types import Evaluation

STYLES = ("page.css", "figures.css", "questions.css")
SCRIPTS = ("tokens.js", "candidates.js", "page.js")
RESERVED_BYTES = 4096  # for the notice and the legend, which are known after the questions


def render_page(
    record: Evaluation | None,
    prompts: Iterable[PromptCandidates],
    picks: Mapping[str, Sequence[int]],
    *,
    title: str,
    max_bytes: int = 18_000_000,
    max_candidates: int = 8,
    is_graded: bool = True,
) -> str:
    """One HTML file that needs nothing else: the statistics, and each question's candidates.

    Args:
        record: of an evaluation; None for a page of candidates alone.
        prompts: read once, in the order of `picks`.
        picks: method -> for each prompt the index of the candidate it picks, -1 for none.
        title: of the page.
        max_bytes: of the page in UTF-8. Questions that would pass it are listed without candidates.
        max_candidates: shown of a question: picked ones first, then by SWIFT's score.
        is_graded: False where nobody knows what is right, and nothing is called so.

    Raises:
        ValueError: `max_candidates` is below 1, `max_bytes` too small for the statistics, or
            `picks` do not fit the prompts.

    >>> from swift_bon.candidates import PromptCandidates, StoredCandidate
    >>> from swift_bon.evaluation.page import render_page
    >>> right = StoredCandidate("It is 5.", token_ids=[7], correct=True)
    >>> prompts = [PromptCandidates("sum", "2 + 3?", "5", [right])]
    >>> page = render_page(None, prompts, {"swift": [0]}, title="one question")
    >>> "<title>one question</title>" in page
    True
    """
    if max_candidates < 1:
        raise ValueError(f"max_candidates is {max_candidates}, expected 1 or more")
    labels = _labels(record, picks)
    page = _fill(record, title, PackedQuestions("", 0, 0, 0, None, None))
    room = max_bytes - len(page.encode()) - RESERVED_BYTES
    if room < RESERVED_BYTES:
        raise ValueError(
            f"max_bytes is {max_bytes}, expected {max_bytes - room + RESERVED_BYTES} or more: "
            "what the page needs besides its questions"
        )
    questions = pack_questions(
        prompts,
        picks,
        labels,
        max_bytes=room,
        max_candidates=max_candidates,
        is_graded=is_graded,
    )
    return _fill(record, title, questions)


def _labels(record: Evaluation | None, picks: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Of all methods that pick, in words."""
    methods = [] if record is None else methods_of(record)
    known = {method["name"]: method["label"] for method in methods}
    return {clean(name): clean(known.get(name) or label(name)) for name in picks}


def _fill(record: Evaluation | None, title: str, questions: PackedQuestions) -> str:
    style, script = _read(STYLES), _read(SCRIPTS)
    return Template(_read(["page.html"])).substitute(
        title=escape(title),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        facts=facts(record, questions.num_questions),
        statistics=_statistics(record),
        questions_heading="Questions" if questions.num_questions != 1 else "Candidates",
        notice=_notice(questions),
        legend=legend(questions.rewards, questions.gates),
        footer=footer(record),
        browser="browser single" if questions.num_questions == 1 else "browser",
        blocks=questions.blocks,
    )


def _statistics(record: Evaluation | None) -> str:
    if record is None:
        return ""
    parts = (summary_section, curves_section, method_table, curve_table, calibration_section)
    return "\n".join(part(record) for part in parts)


def _notice(questions: PackedQuestions) -> str:
    """What did not fit, in words."""
    num_bare = questions.num_listed - questions.num_detailed
    num_unlisted = questions.num_questions - questions.num_listed
    parts = []
    if num_bare:
        parts.append(
            f"{num_bare:,} of {questions.num_questions:,} questions are listed without candidates, "
            "so that the page stays small."
        )
    if num_unlisted:
        parts.append(f"{num_unlisted:,} more questions are not listed.")
    if not parts:
        return ""
    command = "<code>swift-bon inspect --file FILE --id ID</code>"
    return f'<p class="notice">{" ".join(parts)} See any of them with {command}.</p>'


def _read(names: Iterable[str]) -> str:
    folder = resources.files("swift_bon.evaluation.page")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def _hash(content: str) -> str:
    """As a content security policy names what it lets run."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
