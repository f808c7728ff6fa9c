"""The two pages of a user: the report of an evaluation, and the candidates of one prompt."""

import random
from dataclasses import replace
from pathlib import Path

from page_cases import HOSTILE, make_candidate, make_many, make_prompt
from swift_bon import collect, inspect_prompt, load_head, load_model, report
from swift_bon.candidates.files import replace_candidates, write_header
from swift_bon.candidates.records import PromptCandidates
from swift_bon.evaluation.inspection import inspect_stored

FREE = ("sum_logprob", "perplexity", "entropy", "self_certainty", "tail_confidence", "length")
REWARD = "Skywork/Skywork-Reward-V2-Llama-3.1-8B"  # names of reward models are as long as that
MODEL = "an-organisation-with-a-long-name/Its-Model-of-135M-Parameters-Instruct"
LONG_TEXT = 2000  # tokens, more than are drawn at once
QUESTION = "What is the capital of Kenya?"  # as the documentation says


def make_candidates() -> list[PromptCandidates]:
    """More than one page of the list, with every score, and texts that break careless pages."""
    draw = random.Random(7)
    prompts = make_many(70, 6, 40)
    prompts = [replace(p, prompt=f"Question {n}: {p.prompt}") for n, p in enumerate(prompts)]
    for prompt in prompts:
        for candidate in prompt.candidates:
            for name in (*FREE, REWARD):
                candidate.scores[name] = draw.gauss(candidate.correct, 1)
    texts = [text for name, text in HOSTILE.items() if name != "surrogates"]  # are in no file
    rows = [make_candidate(text, correct=not n) for n, text in enumerate(texts)]
    longest = make_many(1, 2, LONG_TEXT)[0].candidates
    unscored = [replace(candidate, token_scores=None) for candidate in rows[:2]]
    name = "a name of a question that is longer than the list is wide, as names of files are"
    return [
        *prompts,
        make_prompt("hostile", prompt=" ".join(texts), candidates=rows),
        make_prompt("</script>", candidates=longest),
        make_prompt(name, candidates=unscored),
    ]


def made_pages(folder: Path) -> tuple[Path, Path]:
    """A report and an inspection of candidates that are made up, hard to show."""
    path = folder / "made.jsonl"
    replace_candidates(path, make_candidates())
    write_header(path, {"model": MODEL, "task": "made up", "split": "test"})
    _, files = report(path, num_draws=200)
    page = folder / "inspect.html"
    page.write_text(inspect_stored(path, "hostile"), encoding="utf-8")
    return files.html, page


def real_pages(folder: Path) -> tuple[Path, Path]:
    """A report and an inspection by the embedded model. What was sampled before is kept."""
    model, tokenizer = load_model()
    head = load_head()
    path = folder / "browser.jsonl"
    collect(model, tokenizer, path, split="test", limit=48, head=head)
    _, files = report(path)
    page = folder / "browser.inspect.html"
    text = inspect_prompt(model, tokenizer, QUESTION, head, max_new_tokens=48)
    page.write_text(text, encoding="utf-8")
    return files.html, page
