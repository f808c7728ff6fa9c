"""The decoding loop of `generate`, with the score kept running beside it."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
)
from transformers.generation import GenerateDecoderOnlyOutput

from swift_bon.generation.checks import check_decoding
from swift_bon.generation.confidence import RunningConfidence
from swift_bon.generation.sampling import CandidateSampler
from swift_bon.generation.stopping import FinishTracker
from swift_bon.generation.token_scores import TokenRecorder
from swift_bon.models.capture import Capture
from swift_bon.models.prefix import can_share, share_prefill
from swift_bon.models.vocabulary import num_token_ids
from swift_kernels import RewardHead, RunningScore


class DecodedCandidates(NamedTuple):
    """What one decoding loop gives. Rows are candidates, those of a prompt side by side."""

    output: Tensor | GenerateDecoderOnlyOutput  # ids [P * N, len], or what `generate` returns
    scores: Tensor | None  # [P * N] float32, None without a head
    num_tokens: Tensor  # [P * N] response tokens, the ending one included
    free_scores: dict[str, Tensor]  # [P * N] by method, where any were asked for
    token_scores: tuple[Tensor, Tensor] | None = None  # rewards, gates [P * N, T]

    def scores_or_nan(self) -> Tensor:
        """The scores, NaN without a head."""
        if self.scores is None:
            return torch.full_like(self.num_tokens, float("nan"), dtype=torch.float32)
        return self.scores


class ScoredDecoding:
    """A decoding method for `custom_generate` that returns all candidates as `DecodedCandidates`.

    Args:
        head: known to fit the model; None samples without scoring.
        seeds: a random stream for each candidate; None leaves sampling to `generate`.
        with_logprobs: keep the mean log-probability of each candidate too.
        confidence_window: keep all free scores, with groups of so many tokens.
        with_token_scores: keep the reward and the gate of each token.
        prompt_rows: for each candidate the number of its prompt, whose prefill is then run once
            and shared; None runs it for each candidate. Whether a model shares must be proven.
    """

    def __init__(
        self,
        head: RewardHead | None,
        *,
        prompt_rows: list[int] | None = None,
        seeds: list[int] | None = None,
        with_logprobs: bool = False,
        confidence_window: int | None = None,
        with_token_scores: bool = False,
    ):
        self.head = head
        self.prompt_rows = prompt_rows
        self.seeds = seeds
        self.with_logprobs = with_logprobs or confidence_window is not None
        self.confidence_window = confidence_window
        self.with_token_scores = with_token_scores

    def __call__(
        self,
        model,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> DecodedCandidates:
        check_decoding(model, self.head, generation_config, model_kwargs)
        generation_config.disable_compile = True  # hooks do not run inside a compiled forward
        num_candidates = len(input_ids)
        processors = LogitsProcessorList(logits_processor)
        confidence = None
        if self.with_logprobs:
            device = input_ids.device
            confidence = RunningConfidence(num_candidates, device, self.confidence_window)
            processors.insert(0, confidence)
        sampler = None
        if self.seeds is not None and generation_config.do_sample:
            sampler = CandidateSampler(self.seeds)
            processors.append(sampler)
            generation_config.do_sample = False  # one token is left: the largest is the sampled one
        model_kwargs = self._share_prefill(model, input_ids, generation_config, model_kwargs)
        on_token = None if confidence is None else confidence.add
        tracker = FinishTracker(stopping_criteria, num_candidates, input_ids.device, on_token)

        def sample():
            return model._sample(
                input_ids, processors, tracker, generation_config=generation_config, **model_kwargs
            )

        if self.head is None:
            output, running, recorder = sample(), None, None
        else:
            head = _on(self.head, input_ids.device)
            running = RunningScore(head, num_candidates, input_ids.device)
            recorder = TokenRecorder(running) if self.with_token_scores else None
            output = _sample_and_score(
                model, head, running, recorder, tracker, sample, input_ids, model_kwargs
            )
        if sampler is not None:
            sampler.check_logits(model.dtype)
        free_scores = {} if confidence is None else confidence.scores(tracker.num_tokens)
        token_scores = None if recorder is None else recorder.token_scores()
        scores = None if running is None else running.scores()
        return DecodedCandidates(output, scores, tracker.num_tokens, free_scores, token_scores)

    def _share_prefill(
        self, model, input_ids: Tensor, generation_config: GenerationConfig, model_kwargs: dict
    ) -> dict:
        rows = self.prompt_rows
        if (
            rows is None
            or len(set(rows)) == len(rows)
            or generation_config.prefill_chunk_size
            or not can_share(model, model_kwargs)
        ):
            return model_kwargs
        return share_prefill(model, input_ids, rows, model_kwargs) or model_kwargs


def _on(head: RewardHead, device: torch.device) -> RewardHead:
    return head if head.reward_weight.device == device else copy.deepcopy(head).to(device)


def _sample_and_score(
    model,
    head: RewardHead,
    running: RunningScore,
    recorder: TokenRecorder | None,
    tracker: FinishTracker,
    sample: Callable[[], Any],
    input_ids: Tensor,
    model_kwargs: dict,
):
    """Run `sample`, whose output it returns, adding each token to `running`."""
    device = input_ids.device
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
        active = tracker.counts(head.scored_tokens)
        running.update(newest, active)
        if recorder is not None:
            recorder.add(active)

    with Capture(model, receive, layers=head.layers, newest_only=True):
        output = sample()
        if head.scored_tokens == "response" and tracker.counts("response").any():
            sequences = output if isinstance(output, Tensor) else output.sequences
            _feed_last_token(model, sequences, input_ids.shape[1], model_kwargs)
    if last_step == 0 and tracker.num_steps > 1:
        raise RuntimeError(
            f"{type(model).__name__} ran without its hooks; a forward compiled by torch.compile "
            "cannot be scored, pass the model as it was loaded"
        )
    return output


@torch.no_grad()
def _feed_last_token(model, sequences: Tensor, prompt_length: int, model_kwargs: dict) -> None:
    """The one step that `generate` leaves out: the last sampled token goes through the model."""
    num_new = sequences.shape[1] - prompt_length
    known = num_token_ids(model)
    newest = sequences[:, -1]
    if bool(((newest < 0) | (newest >= known)).any()):  # padding that `generate` never feeds
        sequences = sequences.clamp(0, known - 1)
    kwargs = dict(model_kwargs)
    mask = kwargs.get("attention_mask")
    if mask is not None:
        kwargs["attention_mask"] = torch.cat([mask, mask.new_ones(len(mask), num_new)], dim=1)
    position_ids = kwargs.get("position_ids")
    if position_ids is not None:
        steps = torch.arange(1, num_new + 1, device=position_ids.device, dtype=torch.int64)
        new_positions = position_ids[..., -1:] + steps
        kwargs["position_ids"] = torch.cat([position_ids, new_positions], dim=-1)
    next_length = 1 if kwargs.get("use_cache") else None
    inputs = model.prepare_inputs_for_generation(
        sequences, next_sequence_length=next_length, **kwargs
    )
    model(**inputs, return_dict=True)
