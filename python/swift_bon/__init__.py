"""Best-of-N around Hugging Face `generate`, scored while it generates."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.collection.head_scores import score_with_head
    from swift_bon.collection.reward_models import load_reward_model, score_with_reward_model
    from swift_bon.collection.rollouts import import_rollouts
    from swift_bon.collection.runs import collect
    from swift_bon.diagnosis.examination import doctor
    from swift_bon.diagnosis.findings import Check, DoctorReport
    from swift_bon.evaluation.comparison import evaluate
    from swift_bon.evaluation.inspection import inspect_prompt
    from swift_bon.evaluation.reports import report
    from swift_bon.features.extraction import extract_features, project_features
    from swift_bon.features.model_features import stream_features
    from swift_bon.fitting.training import train_reward_head
    from swift_bon.generation.best_of import best_of_n
    from swift_bon.generation.decoding import BestOfNDecoding, BestOfNOutput
    from swift_bon.generation.results import BestOfN, Candidate
    from swift_bon.models.loading import load_head, load_model

__all__ = [
    "BestOfN",
    "BestOfNDecoding",
    "BestOfNOutput",
    "Candidate",
    "Check",
    "DoctorReport",
    "best_of_n",
    "collect",
    "doctor",
    "evaluate",
    "extract_features",
    "import_rollouts",
    "inspect_prompt",
    "load_head",
    "load_model",
    "load_reward_model",
    "project_features",
    "report",
    "score_with_head",
    "score_with_reward_model",
    "stream_features",
    "train_reward_head",
]

_MODULES = {
    "BestOfN": "swift_bon.generation.results",
    "BestOfNDecoding": "swift_bon.generation.decoding",
    "BestOfNOutput": "swift_bon.generation.decoding",
    "Candidate": "swift_bon.generation.results",
    "Check": "swift_bon.diagnosis.findings",
    "DoctorReport": "swift_bon.diagnosis.findings",
    "best_of_n": "swift_bon.generation.best_of",
    "collect": "swift_bon.collection.runs",
    "doctor": "swift_bon.diagnosis.examination",
    "evaluate": "swift_bon.evaluation.comparison",
    "extract_features": "swift_bon.features.extraction",
    "import_rollouts": "swift_bon.collection.rollouts",
    "inspect_prompt": "swift_bon.evaluation.inspection",
    "load_head": "swift_bon.models.loading",
    "load_model": "swift_bon.models.loading",
    "load_reward_model": "swift_bon.collection.reward_models",
    "project_features": "swift_bon.features.extraction",
    "report": "swift_bon.evaluation.reports",
    "score_with_head": "swift_bon.collection.head_scores",
    "score_with_reward_model": "swift_bon.collection.reward_models",
    "stream_features": "swift_bon.features.model_features",
    "train_reward_head": "swift_bon.fitting.training",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
