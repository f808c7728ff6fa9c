"""Best of N where the model gets pictures: every candidate sees those of its prompt."""

import functools

import pytest
import torch

from picture_cases import PATCHES, picture, pixels, processor, seeing_model, seen
from prompt_cases import PARTS_TEMPLATE
from swift_bon import best_of_n
from swift_kernels import RewardHead, score_candidates
from tiny_models import CHAT_TEMPLATE, VOCAB, tiny_tokenizer

N = 5
SEEN = "!" * PATCHES
HEAD = RewardHead(4, 32)


@functools.cache
def model():
    return seeing_model()


def run(tokenizer, prompts, **options):
    settings = {"max_new_tokens": 6, "seed": 3, "eos_token_id": [2, 11, 17]}
    settings |= {"suppress_tokens": [VOCAB["!"]], **options}  # or it would stand for a picture
    results = best_of_n(model(), tokenizer, prompts, HEAD, N, **settings)
    return [candidate for result in results for candidate in result.candidates]


@torch.no_grad()
def offline(prompt_ids, candidate, pixel_values) -> tuple[float, float]:
    """Score and mean log-probability, one candidate alone."""
    ids = torch.tensor([prompt_ids + candidate.token_ids])
    outputs = model()(input_ids=ids, pixel_values=pixel_values, output_hidden_states=True)
    is_scored = torch.arange(ids.shape[1]) >= len(prompt_ids)
    is_scored[-1] = False
    score = score_candidates(outputs.hidden_states, HEAD, is_scored[None])
    logprobs = outputs.logits[0, len(prompt_ids) - 1 : -1].log_softmax(dim=-1)
    chosen = logprobs.gather(1, torch.tensor(candidate.token_ids)[:, None])
    return float(score), float(chosen.mean())


def check(candidates, prompt_ids, pixel_values) -> None:
    assert len({tuple(candidate.token_ids) for candidate in candidates}) > 1
    for candidate in candidates:
        score, mean_logprob = offline(prompt_ids, candidate, pixel_values)
        assert candidate.mean_logprob == pytest.approx(mean_logprob, rel=1e-4, abs=1e-4)
        if len(candidate.token_ids) > 1:
            assert candidate.score == pytest.approx(score, rel=1e-3, abs=1e-4)


def ids_of(text: str) -> list[int]:
    return tiny_tokenizer()(f"<user>{text}</s><assistant>")["input_ids"]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize("shades", [(200,), (200, 10)], ids=["one", "two"])
def test_tensors_reach_every_candidate(shades, batch_size):
    text, pixel_values = f"{SEEN * len(shades)}Is it?", pixels(*shades)
    options = {"batch_size": batch_size, "pixel_values": pixel_values}
    candidates = run(tiny_tokenizer(), text, **options)
    check(candidates, ids_of(text), pixel_values)
    whole = run(tiny_tokenizer(), text, pixel_values=pixel_values)
    assert [c.token_ids for c in candidates] == [c.token_ids for c in whole]
    other = run(tiny_tokenizer(), text, pixel_values=pixels(*(3 for _ in shades)))
    assert [c.token_ids for c in candidates] != [c.token_ids for c in other]


@pytest.mark.parametrize("shades", [(90,), (200, 10, 90)], ids=["one", "three"])
def test_a_processor_reads_the_chat(shades):
    candidates = run(processor(), seen(*shades))
    check(candidates, ids_of(f"{SEEN * len(shades)}Is it red?"), pixels(*shades))


def test_prompts_with_and_without_pictures():
    chats = [seen(90), [{"role": "user", "content": "No."}], seen(1, 2), seen(91)]
    together = run(processor(), chats, batch_size=7)
    texts = [f"{SEEN}Is it red?", "No.", f"{SEEN * 2}Is it red?", f"{SEEN}Is it red?"]
    for number, (text, shades) in enumerate(zip(texts, [(90,), (), (1, 2), (91,)], strict=True)):
        candidates = together[number * N : number * N + N]
        check(candidates, ids_of(text), pixels(*shades) if shades else None)


@pytest.mark.parametrize("options", [{}, {"chat_template": PARTS_TEMPLATE}])
def test_a_processor_without_a_template(options):
    """Text goes through the template of its tokenizer; pictures are refused."""
    reader = processor(None, **options)
    expected = run(tiny_tokenizer(**options), "No.")
    assert [c.token_ids for c in run(reader, "No.")] == [c.token_ids for c in expected]
    with pytest.raises(ValueError, match=r"prompts\[0\], message 0, part 0 is of type 'image'"):
        run(reader, seen(5))


def test_whose_pictures_they_are_is_not_guessed():
    with pytest.raises(ValueError, match="^pixel_values came with 2 prompts, and which of them"):
        run(tiny_tokenizer(), [f"{SEEN}a", f"{SEEN}b"], pixel_values=pixels(1, 2))
    with pytest.raises(ValueError, match="^pixel_values came beside a chat with pictures and a"):
        run(processor(), seen(1), pixel_values=pixels(1))


def test_a_part_that_the_template_leaves_out_is_refused_whatever_is_passed():
    only_text = PARTS_TEMPLATE.replace("part.type == 'image'", "part.type == 'film'")
    message = r"message 0, part 0 is of type 'image', which the chat template leaves out"
    for template in (only_text, CHAT_TEMPLATE):
        with pytest.raises(ValueError, match=message):
            run(tiny_tokenizer(template), seen(1), pixel_values=pixels(1))
        with pytest.raises(ValueError, match=r"^prompts\[0\]"):  # newer processors say it too
            run(processor(template), seen(1))


BESIDE = [{"role": "user", "content": "Is it?", "images": [picture(1)]}]


def test_pictures_beside_the_content_are_refused_where_the_template_leaves_them_out():
    message = r"^prompts\[0\], message 0 has 'images' beside its content, which the chat template"
    with pytest.raises(ValueError, match=message):
        run(processor(), BESIDE)
    with pytest.raises(ValueError, match=message):
        run(tiny_tokenizer(), BESIDE, pixel_values=pixels(1))


def test_a_template_may_read_pictures_beside_the_content():
    reads_keys = CHAT_TEMPLATE.replace("{{ message.content", f"{SEEN}{{{{ message.content")
    template = reads_keys.replace(SEEN, "{% for i in message.images %}" + SEEN + "{% endfor %}")
    candidates = run(tiny_tokenizer(template), BESIDE, pixel_values=pixels(1))
    check(candidates, ids_of(f"{SEEN}Is it?"), pixels(1))


@pytest.mark.parametrize("part", [{"type": "image"}, {"type": "image", "picture": "cat.png"}])
def test_a_part_without_a_picture_is_refused(part):
    chat = [{"role": "user", "content": [part, {"type": "text", "text": "Is it?"}]}]
    with pytest.raises(ValueError, match=r"^prompts\[0\] "):
        run(processor(), chat)


def test_a_started_answer_about_a_picture():
    chat = [*seen(77), {"role": "assistant", "content": "It is "}]
    candidates = run(processor(), chat)
    ids = ids_of(f"{SEEN}Is it red?") + tiny_tokenizer()("It is ")["input_ids"]
    check(candidates, ids, pixels(77))
    assert picture(77).size == (8, 8)


def test_tensors_that_are_arguments_of_generate_are_none_of_it():
    prompts = ["No.", "Is it?"]
    stop = {"eos_token_id": torch.tensor([2, 11, 17])}
    candidates = run(tiny_tokenizer(), prompts, **stop)
    assert [c.token_ids for c in candidates] == [
        c.token_ids for c in run(tiny_tokenizer(), prompts)
    ]
