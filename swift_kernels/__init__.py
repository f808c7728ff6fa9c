"""Score N candidates from a language model's own hidden states: tensors in, scores out."""

from swift_kernels.head import RewardHead
from swift_kernels.packed import score_packed
from swift_kernels.running import RunningScore
from swift_kernels.scoring import CandidateScores, score_candidates
from swift_kernels.selection import select_best

__version__ = "0.2.0"
__all__ = [
    "CandidateScores",
    "RewardHead",
    "RunningScore",
    "score_candidates",
    "score_packed",
    "select_best",
]
