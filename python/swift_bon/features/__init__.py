"""The numbers of each token, from the model or from a store."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.features.extraction import extract_features, project_features
    from swift_bon.features.model_features import stream_features

__all__ = [
    "extract_features",
    "project_features",
    "stream_features",
]

_MODULES = {
    "extract_features": "swift_bon.features.extraction",
    "project_features": "swift_bon.features.extraction",
    "stream_features": "swift_bon.features.model_features",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
