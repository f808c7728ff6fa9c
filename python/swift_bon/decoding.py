"""The decoding loop of `generate`, with the score kept running beside it."""

import copy
import dataclasses
import inspect
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import GenerateDecoderOnlyOutput

from swift_bon.capture import Capture
from swift_bon.checks import check_decoding, check_head_fits, refuse
from swift_bon.sampling import CandidateSampler, SampledLogProb
from swift_bon.stopping import FinishTracker
from swift_kernels import RewardHead, RunningScore, select_best


class ScoredCandidates(NamedTuple):
    """What one decoding loop gives. Rows are candidates, those of a prompt side by side."""

    output: Tensor | GenerateDecoderOnlyOutput  # ids [P * N, len], or what `generate` returns
    scores: Tensor | None  # [P * N] float32, None without a head
    num_tokens: Tensor  # [P * N] response tokens, the ending one included
    mean_logprobs: Tensor | None  # [P * N]


@dataclasses.dataclass
class BestOfNOutput(GenerateDecoderOnlyOutput):
    """`GenerateDecoderOnlyOutput` of the best candidates `[P, len]`, and all that were written."""

    candidate_sequences: Tensor | None = None  # [P * N, len]
    candidate_scores: Tensor | None = None  # [P * N]
    best_indices: Tensor | None = None  # [P] rows of the above


class BestOfNDecoding:
    """Best-of-N as a decoding method, scored in the pass that writes the text.

        model.generate(**inputs, custom_generate=BestOfNDecoding(head), num_return_sequences=16,
                       do_sample=True)

    returns the best candidate of each prompt, `[P, len]`; with `return_dict_in_generate=True` a
    `BestOfNOutput` with all of them. Sampling and greedy decoding. Transformers hands no tokenizer
    to a callable, so `stop_strings` fail here: use `best_of_n`, or pass a `StopStringCriteria`.

    Args:
        head: a `RewardHead` trained for the model. It may be on any device.

    Raises:
        ValueError: the head does not fit the model, or beams, streams, assisted decoding or
            another method that cannot be scored was asked for.
    """

    def __init__(self, head: RewardHead):
        self.head = head

    def __call__(
        self,
        model,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs,
    ) -> Tensor | BestOfNOutput:
        _refuse_dropped_arguments(inspect.currentframe().f_back)
        method = ScoredDecoding(self.head)
        result = method(
            model, input_ids, logits_processor, stopping_criteria, generation_config, **model_kwargs
        )
        best = select_best(result.scores, generation_config.num_return_sequences)
        if isinstance(result.output, Tensor):
            return result.output[best]
        return BestOfNOutput(
            **{name: _select_rows(value, best) for name, value in result.output.items()},
            candidate_sequences=result.output.sequences,
            candidate_scores=result.scores,
            best_indices=best,
        )


class ScoredDecoding:
    """A decoding method for `custom_generate` that returns all candidates as `ScoredCandidates`.

    Args:
        head: None samples without scoring.
        seeds: a random stream for each candidate; None leaves sampling to `generate`.
        with_logprobs: keep the mean log-probability of each candidate too.
    """

    def __init__(
        self,
        head: RewardHead | None,
        *,
        seeds: list[int] | None = None,
        with_logprobs: bool = False,
    ):
        self.head = head
        self.seeds = seeds
        self.with_logprobs = with_logprobs

    def __call__(
        self,
        model,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs,
    ) -> ScoredCandidates:
        if self.head is not None:
            check_head_fits(self.head, model)
        check_decoding(model, self.head, generation_config, model_kwargs)
        generation_config.disable_compile = True  # hooks do not run inside a compiled forward
        num_candidates = len(input_ids)
        processors = LogitsProcessorList(logits_processor)
        logprob = None
        if self.with_logprobs:
            logprob = SampledLogProb(num_candidates, input_ids.device)
            processors.insert(0, logprob)
        sampler = None
        if self.seeds is not None and generation_config.do_sample:
            sampler = CandidateSampler(self.seeds)
            processors.append(sampler)
            generation_config.do_sample = False  # one token is left: the largest is the sampled one
        on_token = None if logprob is None else logprob.add
        tracker = FinishTracker(stopping_criteria, num_candidates, input_ids.device, on_token)

        def sample():
            return model._sample(
                input_ids, processors, tracker, generation_config=generation_config, **model_kwargs
            )

        if self.head is None:
            output, scores = sample(), None
        else:
            output, scores = _sample_and_score(
                model, self.head, tracker, sample, input_ids, model_kwargs
            )
        if sampler is not None:
            sampler.check_logits(model.dtype)
        mean_logprobs = None if logprob is None else logprob.mean(tracker.num_tokens)
        return ScoredCandidates(output, scores, tracker.num_tokens, mean_logprobs)


def _sample_and_score(model, head: RewardHead, tracker: FinishTracker, sample, input_ids, kwargs):
    """Run `sample` with a running score beside it; its output, and the scores `[N]`."""
    device = input_ids.device
    if head.reward_weight.device != device:
        head = copy.deepcopy(head).to(device)
    running = RunningScore(head, len(input_ids), device)
    last_step = 0

    def receive(states: tuple[Tensor, ...]) -> None:
        nonlocal last_step
        if tracker.num_steps == 0:
            return  # the prefill, whole or in chunks: prompt tokens are not scored
        if tracker.num_steps == last_step:
            raise RuntimeError(
                "the model ran twice for one token, so its states cannot be told apart; a logits "
                "processor or a stopping criterion that calls the model cannot be scored"
            )
        last_step = tracker.num_steps
        newest = [state.to(device) for state in states]  # [N, 1, H] each
        running.update(newest, tracker.counts(head.scored_tokens))

    with Capture(model, receive, layers=head.layers, newest_only=True):
        output = sample()
        if head.scored_tokens == "response" and tracker.counts("response").any():
            sequences = output if isinstance(output, Tensor) else output.sequences
            _feed_last_token(model, sequences, input_ids.shape[1], kwargs)
    if last_step == 0 and tracker.num_steps > 1:
        raise RuntimeError(
            f"{type(model).__name__} ran without its hooks; a forward compiled by torch.compile "
            "cannot be scored, pass the model as it was loaded"
        )
    return output, running.scores()


@torch.no_grad()
def _feed_last_token(model, sequences: Tensor, prompt_length: int, model_kwargs: dict) -> None:
    """The one step that `generate` leaves out: the last sampled token goes through the model."""
    num_new = sequences.shape[1] - prompt_length
    kwargs = dict(model_kwargs)
    mask = kwargs.get("attention_mask")
    if mask is not None:
        kwargs["attention_mask"] = torch.cat([mask, mask.new_ones(len(mask), num_new)], dim=1)
    position_ids = kwargs.get("position_ids")
    if position_ids is not None:
        steps = torch.arange(1, num_new + 1, device=position_ids.device)
        new_positions = position_ids[..., -1:] + steps
        kwargs["position_ids"] = torch.cat([position_ids, new_positions], dim=-1)
    next_length = 1 if kwargs.get("use_cache") else None
    inputs = model.prepare_inputs_for_generation(
        sequences, next_sequence_length=next_length, **kwargs
    )
    model(**inputs, return_dict=True)


def _select_rows(value, rows: Tensor):
    """The chosen candidates of anything `generate` returns: tensors, tuples of them, caches."""
    if isinstance(value, Tensor):
        return value[rows.to(value.device)]
    if isinstance(value, tuple):
        return tuple(_select_rows(item, rows) for item in value)
    if hasattr(value, "reorder_cache"):
        value.reorder_cache(rows)  # what beam search calls: every cache has it
    return value


def _refuse_dropped_arguments(generate_frame) -> None:
    """Refuse what `generate` silently drops before it calls a callable `custom_generate`.

    The arguments are out of reach but in the frame of `generate` itself, and a streamer that is
    never fed leaves its reader waiting for ever.
    """
    for name in ("streamer", "assistant_model"):
        dropped = generate_frame.f_locals.get(name)
        if dropped is not None:
            refuse(name, dropped)
