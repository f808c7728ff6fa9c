"""Are greedy texts those of plain `generate`, and does the model's own cache give them."""

from swift_bon.diagnosis.findings import Check
from swift_bon.diagnosis.parting import first_difference, is_near_tie
from swift_bon.diagnosis.patient import Patient


def check_cache(patient: Patient) -> Check:
    """Plain `generate` with the model's cache against plain `generate` without, of each prompt."""
    if not patient.generate_kwargs.get("use_cache", True):
        return Check("cache", "skipped", "use_cache is False, so there is none")
    unlike, ties, first = 0, 0, ""
    for prompt, (ids, with_cache) in enumerate(
        zip(patient.prompt_ids, patient.plain_texts, strict=True)
    ):
        (without,) = patient.plain_text([ids], use_cache=False)
        if first_difference(with_cache, without) is None:
            continue
        if is_near_tie(patient, prompt, with_cache, without):
            ties += 1
            continue
        unlike += 1
        texts = [patient.tokenizer.decode(text) for text in (with_cache, without)]
        first = first or f"; prompt {prompt} says {texts[0]!r} with its cache, {texts[1]!r} without"
    words = f"{len(patient.prompts)} greedy texts of generate, with the model's cache and without"
    words += _ties(ties) + first + "; how many differ"
    if not unlike:
        return Check("cache", "passed", words, 0, 0)
    advice = (
        "the model's own cache changes what it writes, with plain generate as well; pass "
        "use_cache=False, or another cache_implementation"
    )
    return Check("cache", "failed", words, unlike, 0, advice)


def _ties(count: int) -> str:
    return f", of which {count} part at a near tie that rounding decides" if count else ""


def check_text(patient: Patient) -> Check:
    """Greedy texts, each alone and all at once, against plain `generate` of each."""
    expected = patient.plain_texts
    alone = patient.sample(1, 1, do_sample=False)
    batch = patient.sample(1, None, do_sample=False)
    unlike, ties, first = 0, 0, ""
    for kind, rows in (("alone", alone), ("in a batch", batch)):
        for prompt, ((candidate,), ids) in enumerate(zip(rows, expected, strict=True)):
            if first_difference(candidate.token_ids, ids) is None:
                continue
            if is_near_tie(patient, prompt, candidate.token_ids, ids):
                ties += 1
                continue
            unlike += 1
            text = patient.tokenizer.decode(ids, skip_special_tokens=True)
            first = first or f"; prompt {prompt} {kind} says {candidate.text!r} for {text!r}"
    words = f"{2 * len(expected)} greedy texts, each alone and all at once, against generate"
    words += _ties(ties) + first + "; how many differ"
    if not unlike:
        return Check("text", "passed", words, 0, 0)
    advice = "write with generate, and score the texts afterwards; and report this line"
    if patient.pads and patient.plain_text(patient.prompt_ids) != expected:
        advice = (
            "plain generate of the padded batch differs from that of each prompt alone as well: "
            "the model does not ignore its padding; pass batch_size=1, or prompts of one length"
        )
    return Check("text", "failed", words, unlike, 0, advice)
