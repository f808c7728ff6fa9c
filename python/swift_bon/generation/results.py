"""What best-of-N gives back: small frozen records."""

from dataclasses import dataclass, field

import torch
from transformers import PreTrainedTokenizerBase

from swift_bon.candidates.records import TokenScores
from swift_bon.generation.scored_decoding import DecodedCandidates
from swift_bon.generation.token_scores import make_token_scores
from swift_kernels import select_best


@dataclass(frozen=True)
class Candidate:
    """One response. `token_ids` includes the token that ended it and no padding.

    >>> from swift_bon import Candidate
    >>> Candidate("Paris.", score=0.7, token_ids=[42, 30, 2], mean_logprob=-0.1).text
    'Paris.'
    """

    text: str
    score: float  # NaN without a head, -inf where no token was scored
    token_ids: list[int]
    mean_logprob: float  # under the model, before temperature and truncation
    free_scores: dict[str, float] = field(default_factory=dict)  # where they were asked for
    token_scores: TokenScores | None = None  # likewise


@dataclass(frozen=True)
class BestOfN:
    """The pick for one prompt, and all it was picked from.

    >>> from swift_bon import BestOfN, Candidate
    >>> pair = [Candidate("Lyon.", 0.2, [41, 2], -0.9), Candidate("Paris.", 0.7, [42, 2], -0.1)]
    >>> result = BestOfN("Paris.", 0.7, index=1, candidates=pair)
    >>> result.candidates[result.index].text
    'Paris.'
    """

    text: str
    score: float
    index: int
    candidates: list[Candidate]


def pick_best(candidates: list[Candidate]) -> BestOfN:
    scores = [candidate.score for candidate in candidates]
    column = torch.tensor(scores, dtype=torch.float64, device="cpu")
    index = int(select_best(column, len(candidates)))
    best = candidates[index]
    return BestOfN(best.text, best.score, index, candidates)


def candidates_of(
    result: DecodedCandidates, tokenizer: PreTrainedTokenizerBase, prompt_length: int
) -> list[Candidate]:
    """The rows of a decoding loop as candidates, without their padding."""
    output = result.output
    sequences = output if isinstance(output, torch.Tensor) else output.sequences
    responses = sequences[:, prompt_length:].tolist()
    lengths = result.num_tokens.tolist()
    token_ids = [ids[:length] for ids, length in zip(responses, lengths, strict=True)]
    texts = tokenizer.batch_decode(token_ids, skip_special_tokens=True)
    scores = result.scores_or_nan().tolist()
    free_scores = {name: column.tolist() for name, column in result.free_scores.items()}
    token_scores: list[TokenScores | None] = [None] * len(texts)
    if result.token_scores is not None:
        rows = zip(token_ids, texts, *map(torch.Tensor.tolist, result.token_scores), strict=True)
        token_scores = [make_token_scores(tokenizer, *row) for row in rows]
    return [
        Candidate(
            text,
            scores[row],
            token_ids[row],
            free_scores["mean_logprob"][row],
            {name: column[row] for name, column in free_scores.items()},
            token_scores[row],
        )
        for row, text in enumerate(texts)
    ]
