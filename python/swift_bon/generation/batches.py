"""Candidates batch by batch: which may stand together, and how a batch is run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from transformers.generation import logits_process

from swift_bon.generation.batch_proof import prove_batches
from swift_bon.generation.results import Candidate, candidates_of
from swift_bon.generation.scored_decoding import DecodedCandidates, ScoredDecoding
from swift_bon.models.media import RenderedPrompt, repeat_media
from swift_bon.models.padding import pad_rows, position_ids
from swift_bon.models.proofs import Asked
from swift_bon.models.rope_limit import rope_limit
from swift_bon.models.vocabulary import input_device
from swift_bon.models.wrappers import bare_model
from swift_kernels import RewardHead

Pair = tuple[int, int]  # number of the prompt, number of its candidate

BLIND_TO_PADDING = (  # they look at the logits alone, or at new tokens alone
    "TemperatureLogitsWarper",
    "TopKLogitsWarper",
    "TopPLogitsWarper",
    "TopHLogitsWarper",
    "MinPLogitsWarper",
    "TypicalLogitsWarper",
    "EpsilonLogitsWarper",
    "EtaLogitsWarper",
    "LogitNormalization",
    "InfNanRemoveLogitsProcessor",
    "SuppressTokensLogitsProcessor",
    "SuppressTokensAtBeginLogitsProcessor",
    "MinNewTokensLengthLogitsProcessor",
    "ForcedEOSTokenLogitsProcessor",
)


class Kept(NamedTuple):
    """What is kept of each candidate, besides its score: see `sample_candidates`."""

    confidence_window: int | None = None
    with_token_scores: bool = False


class Batches:
    """The candidates of some prompts, a batch at a time.

    Prompts of unequal length stand in one batch only where padding changes nothing: where that is
    proven of the model, where no text goes beyond the limit of its positions (`rope_limit`), and
    where no logits processor of `generate` may see the padding. One of the caller's own gets the
    padded prompts.

    Where the model reads more than text, a batch is of one prompt, whose inputs `generate` expands.

    Args:
        prompts: what the model reads of each.
        generate_kwargs: complete, for `generate`, but for what the model reads.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[RenderedPrompt],
        head: RewardHead | None,
        kept: Kept,
        generate_kwargs: Mapping[str, Any],
    ):
        self.model, self.tokenizer, self.head, self.kept = model, tokenizer, head, kept
        self.prompt_ids = [tuple(prompt.token_ids) for prompt in prompts]
        self.media = [prompt.media for prompt in prompts]
        self.generate_kwargs = dict(generate_kwargs)
        self.proof = prove_batches(model)
        if not self.proof.keeps_cache:
            self.generate_kwargs["use_cache"] = False
        pairs = zip(self.prompt_ids, self.media, strict=True)
        self.of_text = [ids for ids, media in pairs if not media]
        if self._longest_text() > rope_limit(model):
            self.proof = self.proof._replace(pads=False, shares=False)
        lengths = set(map(len, self.of_text))
        self.pads = self.proof.pads and (len(lengths) < 2 or not self._sees_padding())

    def take(self, pairs: Sequence[Pair], batch_size: int) -> list[Pair]:
        """The next batch: those of `pairs` that may stand beside the first one, in order."""
        return [pair for pair in pairs if self._kind(pair) == self._kind(pairs[0])][:batch_size]

    def _kind(self, pair: Pair) -> tuple[str, int]:
        if self.media[pair[0]]:
            return "prompt", pair[0]
        return "length", 0 if self.pads else len(self.prompt_ids[pair[0]])

    def sample(self, batch: Sequence[Pair], seeds: list[int]) -> list[Candidate]:
        """Candidates of a batch that `take` gave, each from the random stream of its seed."""
        of_candidates = [self.prompt_ids[prompt] for prompt, _ in batch]
        prompts = list(dict.fromkeys(of_candidates))  # each once, in order
        rows = [prompts.index(ids) for ids in of_candidates]
        inputs = self._inputs(prompts)
        method = ScoredDecoding(
            self.head,
            seeds=seeds,
            with_logprobs=True,
            prompt_rows=rows if self.proof.shares else None,
            **self.kept._asdict(),
        )
        media = self.media[batch[0][0]]
        num_expanded = 1
        if media and all(tensor.shape[:1] == (1,) for tensor in media.values()):
            num_expanded = len(batch)  # by `generate`, which may look at a picture once
        else:  # or it would part the pictures of a candidate
            inputs = {name: tensor[rows] for name, tensor in inputs.items()}
            media = repeat_media(media, len(batch))
        result = self._generate({**inputs, **media}, method, num_expanded)
        if not isinstance(result, DecodedCandidates):
            raise TypeError(
                f"{type(bare_model(self.model)).__name__}.generate returned a "
                f"{type(result).__name__}: it has a way of its own to write and does not hand over "
                "to custom_generate, so it cannot be scored; use a model that writes token by token"
            )
        return candidates_of(result, self.tokenizer, inputs["input_ids"].shape[1])

    def _longest_text(self) -> int:
        return max(map(len, self.prompt_ids), default=0) + self.generate_kwargs["max_new_tokens"]

    def _inputs(self, prompts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        device = input_device(self.model)
        inputs = pad_rows(prompts, self.generate_kwargs.get("pad_token_id") or 0, device)
        if self.proof.needs_position_ids:
            inputs["position_ids"] = position_ids(inputs["attention_mask"])
        return inputs

    def _generate(self, inputs: dict[str, Tensor], method: Any, num_return_sequences: int) -> Any:
        options = {"num_return_sequences": num_return_sequences, "custom_generate": method}
        return self.model.generate(**inputs, **{**self.generate_kwargs, **options})

    def _sees_padding(self) -> bool:
        asked = Asked()
        by_length = sorted(self.of_text, key=len)
        self._generate(self._inputs([by_length[0], by_length[-1]]), asked, 1)
        return any(map(_may_see_padding, asked.logits_processors))


def _may_see_padding(processor: Any) -> bool:
    # newer versions tell the repetition penalty how much of each prompt is padding
    is_told = isinstance(getattr(processor, "prompt_ignore_length", None), Tensor)
    kind = type(processor)
    is_blind = kind.__name__ in BLIND_TO_PADDING or is_told
    return kind.__module__ == logits_process.__name__ and not is_blind
