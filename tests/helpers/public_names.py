"""The modules whose `__all__` is the public surface."""

import importlib
from types import ModuleType

DOORS = (
    "swift_kernels",
    "swift_bon",
    "swift_bon.graders",
    "swift_bon.tasks",
    "swift_bon.candidates",
    "swift_bon.models",
    "swift_bon.generation",
    "swift_bon.collection",
    "swift_bon.features",
    "swift_bon.fitting",
    "swift_bon.statistics",
    "swift_bon.evaluation",
    "swift_bon.evaluation.page",
    "swift_bon.diagnosis",
)


def doors() -> dict[str, ModuleType]:
    return {name: importlib.import_module(name) for name in DOORS}
