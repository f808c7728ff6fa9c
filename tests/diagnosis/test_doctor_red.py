"""What is wrong is red, in the check that looks at it, with words that say so."""

import time

import pytest
import torch
import transformers

import broken_models
from doctor_cases import NAMES, assert_green, examine, with_status
from swift_bon.diagnosis import check_states, patient
from swift_bon.generation import batches, decoding, scored_decoding
from swift_bon.models import prefix
from swift_bon.models.chat_templates import ChatTemplate
from swift_kernels import RewardHead
from tiny_models import SHAPE, tiny_model, tiny_tokenizer

# What must be red, what may be too, and a word of what the first one says or advises.
BROKEN = {
    "shows_other_inputs": ({"states", "scores"}, set(), "output_hidden_states"),
    "forgets": (
        {"cache", "scores"},
        {"features", "text", "batches", "prefill"},
        "the model's own cache",
    ),
    "drops_out": ({"repeats"}, set(), "call model.eval()"),
    "mixes_threads": ({"threads"}, set(), "keeps something between its calls"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_red_where_it_is_broken(name):
    must, may, said = BROKEN[name]
    report = examine(getattr(broken_models, name)())
    reds = with_status(report, "failed")
    assert must <= reds <= must | may
    assert not report.passed
    first = next(check for check in report.checks if check.name in must)
    assert said in first.words + first.advice


def test_a_model_that_ignores_its_padding_is_not_padded():
    report = examine(broken_models.ignores_padding())
    assert_green(report)
    assert "this model's batches are not padded" in report.check("batches").words


@pytest.mark.parametrize("options", [{}, {"use_cache": False}], ids=str)
def test_whether_the_prefill_is_shared_is_said(options):
    words = examine(tiny_model("llama"), **options).check("prefill").words
    assert ("this model's prefill is not shared" in words) == bool(options)
    assert "not padded" not in words


def test_texts_mixed_up_without_padding_are_not_blamed_on_it(monkeypatch):
    prove = batches.prove_batches
    nothing = {"pads": False, "shares": False}
    for module in (batches, patient):
        monkeypatch.setattr(module, "prove_batches", lambda model: prove(model)._replace(**nothing))
    report = examine(broken_models.looks_at_neighbours(), prompts=["hello", "world", "a b"])
    assert {"batches", "prefill"} <= with_status(report, "failed")
    for name in ("batches", "prefill"):
        assert "texts that stand in one batch" in report.check(name).advice


def test_padding_that_the_model_ignores_is_red(monkeypatch):
    """As it was before the batches were proven."""
    prove = batches.prove_batches
    for module in (batches, patient):
        monkeypatch.setattr(module, "prove_batches", lambda model: prove(model)._replace(pads=True))
    report = examine(broken_models.ignores_padding())
    must, may = {"batches", "text", "scores"}, {"prefill"}
    assert must <= with_status(report, "failed") <= must | may
    assert "does not ignore its padding" in report.check("text").advice


def test_without_repetition_nothing_is_compared():
    report = examine(broken_models.drops_out())
    assert {"scores", "text", "batches", "prefill", "threads"} <= with_status(report, "skipped")
    assert "'repeats'" in report.check("scores").words


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (broken_models.is_steered(), "cannot be captured"),
        (broken_models.fails_in_batches(), "IndexError: the second row is out of reach"),
        (
            transformers.T5ForConditionalGeneration(
                transformers.T5Config(vocab_size=64, d_model=16, d_ff=16, num_layers=1, d_kv=8)
            ),
            "encoder-decoder",
        ),
        (torch.nn.Linear(2, 2), ""),
    ],
    ids=["steered", "one-row", "encoder-decoder", "no-language-model"],
)
def test_a_model_that_is_not_accepted_is_one_red_line(model, said):
    report = examine(model)
    assert with_status(report, "failed") == {"accepted"}
    assert with_status(report, "skipped") == set(NAMES) - {"prompts", "accepted"}
    assert said in report.refusal


def test_a_head_for_another_model_is_red_alone():
    report = examine(tiny_model("llama"), head=RewardHead(9, 48))
    assert with_status(report, "failed") == {"head"}
    assert "9 hidden states of size 48" in report.check("head").words
    assert report.check("head").advice


def test_a_head_of_another_name_is_red_alone():
    model = tiny_model("llama")
    model.name_or_path = "someone/some-model"
    report = examine(model, head=RewardHead(4, 32, base_model="someone/another"))
    assert with_status(report, "failed") == {"head"}


def test_a_template_that_writes_nothing_is_red():
    report = examine(tiny_model("llama"), tiny_tokenizer("{{ '' }}"))
    assert with_status(report, "failed") == {"prompts"}
    assert with_status(report, "skipped") == set(NAMES) - {"prompts"}


def add_to_scores(monkeypatch):
    scores = scored_decoding.RunningScore.scores
    monkeypatch.setattr(scored_decoding.RunningScore, "scores", lambda self: scores(self) + 1e-3)


def move_features(monkeypatch):
    read = check_states.response_states

    def moved(*args, **kwargs):
        for batch in read(*args, **kwargs):
            yield batch._replace(layers=tuple(layer * 1.0001 for layer in batch.layers))

    monkeypatch.setattr(check_states, "response_states", moved)


def forbid_a_token(monkeypatch):
    """Greedy texts of best_of_n alone."""
    call = scored_decoding.ScoredDecoding.__call__

    def forbid(input_ids, scores):
        scores[:, scores[0].argmax()] = float("-inf")
        return scores

    def changed(
        self, model, input_ids, logits_processor, stopping_criteria, generation_config, **kwargs
    ):
        if not generation_config.do_sample:
            logits_processor = transformers.LogitsProcessorList([*logits_processor, forbid])
        decoding = (logits_processor, stopping_criteria, generation_config)
        return call(self, model, input_ids, *decoding, **kwargs)

    monkeypatch.setattr(scored_decoding.ScoredDecoding, "__call__", changed)


def feed_another_prompt(monkeypatch):
    render = ChatTemplate.render

    def rendered(*args, **kwargs):
        ids = render(*args, **kwargs)
        return [*ids[:-1], ids[-1] - 1]

    monkeypatch.setattr(ChatTemplate, "render", rendered)


def share_a_damaged_prompt(monkeypatch):
    prefill = scored_decoding.share_prefill

    def damaged(*args):
        kwargs = prefill(*args)
        prefix.find_cache(kwargs).layers[0].keys[:, :, -1] = 0
        return kwargs

    monkeypatch.setattr(scored_decoding, "share_prefill", damaged)


def wait_for_scores(monkeypatch):
    call = decoding.BestOfNDecoding.__call__

    def slow(self, *args, **kwargs):
        time.sleep(1)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(decoding.BestOfNDecoding, "__call__", slow)


@pytest.mark.parametrize(
    ("mutate", "must", "may"),
    [
        (add_to_scores, {"scores"}, set()),
        (move_features, {"features"}, set()),
        (forbid_a_token, {"text"}, set()),
        (feed_another_prompt, {"input", "scores"}, {"text"}),
        (share_a_damaged_prompt, {"prefill", "scores"}, set()),
        (wait_for_scores, {"cost"}, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_of_ours_is_red(monkeypatch, mutate, must, may):
    mutate(monkeypatch)
    report = examine(tiny_model("llama"))
    reds = with_status(report, "failed")
    assert must <= reds <= must | may


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompts": "hello"}, "prompts"),
        ({"prompts": []}, "prompts"),
        ({"prompts": ["hello", " "]}, "prompts"),
        ({"num_return_sequences": 0}, "num_return_sequences"),
        ({"max_new_tokens": True}, "max_new_tokens"),
        ({"do_sample": True}, "do_sample"),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(changes, said):
    with pytest.raises((TypeError, ValueError), match=said):
        examine(tiny_model("llama"), **changes)


def test_prompts_of_one_length_are_said_to_show_little():
    report = examine(tiny_model("llama"), prompts=["hello", "world"])
    assert_green(report)
    assert "all of one length" in report.check("prompts").words


def test_a_pad_token_out_of_the_models_reach_is_said():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token_id = SHAPE["vocab_size"] + 3
    report = examine(tiny_model("llama"), tokenizer)
    assert "no pad token that the model knows" in report.check("input").words
