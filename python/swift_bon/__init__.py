"""Best-of-N around Hugging Face `generate`, scored while it generates."""

try:
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "swift_bon needs transformers; in the folder of this project run: pip install '.[generate]'"
    ) from error

from swift_bon.collection.head_scores import score_with_head
from swift_bon.collection.reward_models import load_reward_model, score_with_reward_model
from swift_bon.evaluation.comparison import evaluate
from swift_bon.evaluation.inspection import inspect_prompt
from swift_bon.evaluation.reports import report
from swift_bon.features.extraction import extract_features, project_features
from swift_bon.features.model_features import stream_features
from swift_bon.fitting.training import train_reward_head
from swift_bon.generation.best_of import BestOfN, Candidate, best_of_n
from swift_bon.generation.decoding import BestOfNDecoding, BestOfNOutput
from swift_bon.models.loading import load_model

__all__ = [
    "BestOfN",
    "BestOfNDecoding",
    "BestOfNOutput",
    "Candidate",
    "best_of_n",
    "evaluate",
    "extract_features",
    "inspect_prompt",
    "load_model",
    "load_reward_model",
    "project_features",
    "report",
    "score_with_head",
    "score_with_reward_model",
    "stream_features",
    "train_reward_head",
]
