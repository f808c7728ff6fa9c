"""SWIFT's score for candidates that have none yet: a forward of the model that wrote them."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import read_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import SWIFT_SCORE
from swift_bon.collection.added_scores import AddedScores, add_scores
from swift_bon.collection.score_journal import PromptScores
from swift_bon.generation.token_scores import make_token_scores
from swift_bon.models.forward import Response, check_candidates, num_scored_tokens, response_states
from swift_bon.models.identity import (
    check_head_fits,
    check_written_by,
    context_length,
    identify,
)
from swift_bon.models.model_checks import check_model_and_tokenizer
from swift_bon.models.stored_prompts import StoredPrompts
from swift_bon.models.vocabulary import input_device, num_token_ids, pad_token_id
from swift_kernels import RewardHead, score_packed
from swift_kernels.checks import check_count

TokenValues = tuple[float, list[float], list[float]]  # a score; rewards and gates by token


def score_with_head(
    path: str | Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    head: RewardHead,
    *,
    name: str = SWIFT_SCORE,
    batch_size: int = 64,
    show_progress: bool = True,
) -> AddedScores:
    """Store a head's score with each candidate of a file, and its rewards and gates by token.

    For candidates that were collected without a head, or imported. Prompts that have both are
    skipped, so that a file that has grown costs only what is new. A killed run goes on where it
    stopped when called again. The token scores of the first head of a file stay.

    Args:
        path: the candidates, with their header beside them.
        model, tokenizer: the model that wrote them.
        head: trained for it; on any device.
        name: of the score.
        batch_size: candidates in one forward, halved when memory runs out.
        show_progress: bars over the prompts that are checked and the candidates that are scored.

    Returns:
        what was done. Candidates without a scored token, or with states that are NaN or infinite,
        have no score; `num_not_finite` counts them.

    Raises:
        TypeError, ValueError: the head does not fit the model, the candidates are of another model
            or too long for it, the file has scores of this name from elsewhere, another run is
            writing it, or an argument is bad.
        FileNotFoundError: there is no such file, or no header beside it.

    >>> from swift_bon import collect, load_head, load_model, score_with_head
    >>> model, tokenizer = load_model()
    >>> options = {"limit": 2, "num_return_sequences": 3, "max_new_tokens": 4}
    >>> prompts = collect(model, tokenizer, "train.jsonl", **options)
    >>> score_with_head("train.jsonl", model, tokenizer, load_head()).num_candidates
    6
    """
    path = Path(path)
    header = read_header(path)
    scorer = HeadScorer(model, tokenizer, head, batch_size, StoredPrompts(tokenizer, header))
    check_written_by(header, identify(model), path, model)
    return add_scores(path, name, scorer, show_progress=show_progress)


class HeadScorer:
    """Scores of a head. The arguments are those of `score_with_head`; `stored` has the prompts."""

    gives_token_scores = True

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        head: RewardHead,
        batch_size: int = 64,
        stored: StoredPrompts | None = None,
    ):
        check_model_and_tokenizer(model, tokenizer)
        check_head_fits(head, model)
        self.origin = {"head": head.digest()}
        self.batch_size = check_count(batch_size, "batch_size")
        self._model, self._tokenizer = model, tokenizer
        self._stored = stored or StoredPrompts(tokenizer)
        self._device = input_device(model)
        self._head = copy.deepcopy(head).to(self._device)
        self._layers = head.layers or tuple(range(head.num_layers))

    def can_score(self, candidate: StoredCandidate) -> bool:
        return self._num_scored(candidate) > 0

    def check(self, prompt: PromptCandidates) -> None:
        rendered = self._stored.token_ids([prompt])
        context = context_length(self._model)
        check_candidates([prompt], rendered, num_token_ids(self._model), context)

    def score(self, prompts: Sequence[PromptCandidates]) -> list[PromptScores]:
        responses = [
            Response(position, candidate.token_ids, self._num_scored(candidate))
            for position, prompt in enumerate(prompts)
            for candidate in prompt.candidates
        ]
        values = iter(self._values(prompts, responses))
        rows = []
        for prompt in prompts:
            scores, tokens = [], []
            for candidate in prompt.candidates:
                score, rewards, gates = next(values)
                scores.append(score)
                ids, text = candidate.token_ids, candidate.text
                given = make_token_scores(self._tokenizer, ids, text, rewards, gates)
                tokens.append(given if ids else None)
            rows.append(PromptScores(scores, tokens))
        return rows

    def _num_scored(self, candidate: StoredCandidate) -> int:
        return num_scored_tokens(len(candidate.token_ids), self._head.scored_tokens)

    @torch.no_grad()
    def _values(
        self, prompts: Sequence[PromptCandidates], responses: Sequence[Response]
    ) -> list[TokenValues]:
        """Of each response the score, and the rewards and gates of its scored tokens."""
        values: list[TokenValues] = [(-math.inf, [], [])] * len(responses)
        device = self._device
        for states in response_states(
            self._model,
            self._stored.token_ids(prompts),
            responses,
            layers=self._layers,
            pad_id=pad_token_id(self._tokenizer, self._model),
            batch_size=self.batch_size,
        ):
            self.batch_size = states.batch_size  # the next window begins with what had room
            layers = [layer.to(device) for layer in states.layers]
            counts = [responses[index].num_scored for index in states.responses]
            cu_seqlens = torch.tensor([0, *counts], device=device, dtype=torch.int64).cumsum(0)
            scored = score_packed(layers, self._head, cu_seqlens, return_token_scores=True)
            tokens = [[part.tolist() for part in rows.cpu().split(counts)] for rows in scored[1:]]
            for index, *row in zip(states.responses, scored.scores.tolist(), *tokens, strict=True):
                values[index] = tuple(row)
            del states, layers  # before the next forward
        return values
