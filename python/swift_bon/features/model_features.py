"""Features straight from the model: each read is a forward over stored candidates."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import read_candidates, read_header
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates
from swift_bon.features import packed_states
from swift_bon.features.shards import (
    SHARD_BYTES,
    Advance,
    Moments,
    Pack,
    divide_moments,
    identities,
    nobody,
    pack_prompts,
    sum_moments,
)
from swift_bon.features.spec import (
    DTYPES,
    SAMPLE_TOKENS,
    FeatureSpec,
    encode,
    feature_spec,
)
from swift_bon.models import identity
from swift_bon.models.forward import (
    Response,
    ResponseStates,
    check_candidates,
    num_scored_tokens,
    response_states,
)
from swift_bon.models.model_checks import check_model_and_tokenizer
from swift_bon.models.stored_prompts import StoredPrompts
from swift_bon.models.vocabulary import input_device, num_token_ids, pad_token_id
from swift_bon.seeds import stream_seed
from swift_kernels.checks import check_count

STATE_DTYPES = {torch.bfloat16: "bfloat16", torch.float16: "float16"}  # what loses nothing


class ModelFeatures:
    """A source of features that keeps nothing: what an epoch needs, the model computes again.

    Args:
        model, tokenizer: the model that wrote the candidates.
        prompts: the candidates.
        spec: what the features are made of.
        groups: of the prompts, as they are split into training and validation; None: each alone.
        batch_size: candidates in one forward, halved when memory runs out.
        stored: gives the prompts' token ids; None: those kept, or what the tokenizer renders.
        shard_bytes: features that are held at once, but for prompts that take more; None: 64 MiB,
            and up to 1 GiB where the candidates of one forward take that.

    Raises:
        ValueError: a bad argument, or candidates that this model cannot have written.

    The prompts lie in shards in the order in which the split ranks their groups, which looks
    shuffled: whatever share is held out, its prompts fill the first shards.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[PromptCandidates],
        spec: FeatureSpec,
        *,
        groups: Sequence[str] | None = None,
        batch_size: int = 64,
        stored: StoredPrompts | None = None,
        shard_bytes: int | None = None,
    ):
        self.spec = spec
        self.identities = identities(prompts)
        self.batch_size = check_count(batch_size, "batch_size")
        self._model, self._prompts = model, prompts
        self._pad_id = pad_token_id(tokenizer, model)
        self._rendered = (stored or StoredPrompts(tokenizer)).token_ids(prompts)
        num_ids = num_token_ids(model)
        check_candidates(prompts, self._rendered, num_ids, identity.context_length(model))
        self._encoding = spec  # its projection where the states are
        if spec.projection is not None:
            self._encoding = replace(spec, projection=spec.projection.to(input_device(model)))
        groups = groups or [prompt.id for prompt in prompts]
        num_candidates = batch_size if shard_bytes is None else 1
        self.shards = pack_prompts(
            prompts, groups, spec, shard_bytes or SHARD_BYTES, num_candidates
        )

    def read(
        self, shard: int, wanted: Sequence[bool] | None = None, advance: Advance = nobody
    ) -> Pack:
        """The features of a shard; NaN for prompts that are not wanted.

        Raises:
            ValueError: a state is NaN or infinite, or too large for the dtype.
        """
        prompts = self.shards[shard].prompts
        responses = [r for position in prompts for r in self.responses(position)]
        offsets = packed_states.starts([r.num_scored for r in responses])
        bounds = offsets.tolist()
        tokens = torch.arange(bounds[-1], dtype=torch.int64, device="cpu")
        states = torch.full(
            (bounds[-1], self.spec.dim), float("nan"), dtype=DTYPES[self.spec.dtype], device="cpu"
        )
        if wanted is not None:
            skipped = {p for p, is_wanted in zip(prompts, wanted, strict=True) if not is_wanted}
            responses = [r._replace(num_scored=0) if r.prompt in skipped else r for r in responses]
        for batch, layers, _ in self.states(responses):
            rows = torch.cat([tokens[slice(*bounds[m : m + 2])] for m in batch])
            states[rows] = encode(layers, self._encoding).cpu()
            del layers  # before the next forward
            advance(len(rows))
        return Pack(states, offsets)

    def moments(self, advance: Advance = nobody) -> Moments:
        """Over the tokens of `sample(0)`, so as to spare a pass."""
        sums = torch.zeros(2, self.spec.dim, dtype=torch.float64, device="cpu")
        num_tokens = 0
        for layers in self.sample(0):
            sums += sum_moments(encode(layers, self._encoding).cpu())
            num_tokens += len(layers[0])
            advance(len(layers[0]))
        return divide_moments(sums, num_tokens)

    def will_read(self, shard: int) -> None:
        """Nothing to fetch."""

    def sample(self, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """The hidden states of tokens of many prompts, enough to find a projection from.

        L tensors `[tokens, H]` at a time, on one device.
        """
        responses = self._draw(seed)
        for batch in self.states(responses):
            device = batch.layers[0].device
            rows = packed_states.thin([responses[index].num_scored for index in batch.responses])
            yield tuple(layer[rows.to(layer.device)].to(device) for layer in batch.layers)
            del batch  # before the next forward

    def _draw(self, seed: int) -> list[Response]:
        """One candidate of each prompt, in random order; then another one of each; until they
        have enough tokens."""
        keys = [stream_seed("basis", seed, prompt.id) for prompt in self._prompts]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        counts = [len(prompt.candidates) for prompt in self._prompts]
        drawn: list[Response] = []
        num_tokens = 0
        for turn in range(max(counts, default=0)):
            for position in order:
                if turn < counts[position]:
                    number = (keys[position] + turn) % counts[position]
                    drawn.append(self._response(position, number))
                    num_tokens += min(drawn[-1].num_scored, packed_states.RESPONSE_TOKENS)
                    if num_tokens >= SAMPLE_TOKENS:
                        return drawn
        return drawn

    def responses(self, position: int) -> list[Response]:
        """The candidates of a prompt, ready for a forward."""
        count = len(self._prompts[position].candidates)
        return [self._response(position, number) for number in range(count)]

    def _response(self, position: int, number: int) -> Response:
        ids = self._prompts[position].candidates[number].token_ids
        return Response(position, ids, num_scored_tokens(len(ids), self.spec.scored_tokens))

    def states(self, responses: Sequence[Response]) -> Iterator[ResponseStates]:
        """Their hidden states as the model gives them, batched: see `response_states`.

        Raises:
            ValueError: one is NaN or infinite.
        """
        for batch in response_states(
            self._model,
            self._rendered,
            responses,
            layers=self.spec.layers,
            pad_id=self._pad_id,
            batch_size=self.batch_size,
        ):
            self.batch_size = batch.batch_size  # the next shard begins with what had room
            if not all(map(packed_states.is_finite, batch.layers)):
                lengths = [responses[index].num_scored for index in batch.responses]
                first = batch.responses[packed_states.first_not_finite(batch.layers, lengths)]
                raise ValueError(
                    "a hidden state of prompt "
                    f"{self._prompts[responses[first].prompt].id!r} is NaN or infinite; load the "
                    "model in bfloat16 or float32, or leave that prompt out"
                )
            yield batch
            del batch  # before the next forward


def stream_features(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: str | Path,
    *,
    layers: Sequence[int] | None = None,
    scored_tokens: str = "fed",
    batch_size: int = 64,
) -> ModelFeatures:
    """The states of the candidates of a file, for training without a store.

    Raises:
        ValueError: candidates of another model, or a bad argument.

    >>> from swift_bon import collect, load_model, stream_features
    >>> model, tokenizer = load_model()
    >>> _ = collect(model, tokenizer, "a.jsonl", limit=4, max_new_tokens=8)
    >>> features = stream_features(model, tokenizer, "a.jsonl", layers=[10, 20])
    >>> features.spec.num_blocks, features.spec.block_size
    (2, 576)
    """
    path = Path(path)
    check_model_and_tokenizer(model, tokenizer)
    prompts, header = read_candidates(path), read_header(path)
    identity.check_training_data(prompts, header, identity.identify(model), path, model)
    dtype = STATE_DTYPES.get(model.dtype, "float32")
    spec = feature_spec(model, layers, scored_tokens, dtype, is_projected=False)
    return ModelFeatures(
        model,
        tokenizer,
        prompts,
        spec,
        groups=groups_of(prompts, header["task"]),
        batch_size=batch_size,
        stored=StoredPrompts(tokenizer, header),
    )
