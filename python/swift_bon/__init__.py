"""Best-of-N around Hugging Face `generate`, scored while it generates."""

try:
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "swift_bon needs transformers; in the folder of this project run: pip install '.[generate]'"
    ) from error

from swift_bon.decoding import BestOfNDecoding, BestOfNOutput
from swift_bon.extraction import extract_features, project_features
from swift_bon.generation import BestOfN, Candidate, best_of_n
from swift_bon.model_features import stream_features
from swift_bon.models import load_model
from swift_bon.training import train_reward_head

__all__ = [
    "BestOfN",
    "BestOfNDecoding",
    "BestOfNOutput",
    "Candidate",
    "best_of_n",
    "extract_features",
    "load_model",
    "project_features",
    "stream_features",
    "train_reward_head",
]
