"""What a fit knows of a candidates file: its labels, its header, and on which side each stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swift_bon.candidates.files import check_has_prompts, read_header, read_labels
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptLabels
from swift_bon.features.shards import FeatureSource, identities
from swift_bon.fitting.labels import LabelledPrompts, check_loss, label_prompts
from swift_bon.fitting.options import FitOptions
from swift_bon.models.identity import as_identity, check_training_data


class TrainingData(NamedTuple):
    """One reading of a candidates file. Its tokens, which may be many, are not kept."""

    path: Path
    header: dict[str, Any]
    prompts: list[PromptLabels]
    labels: LabelledPrompts  # of the same prompts


def read_training_data(path: Path, options: FitOptions) -> TrainingData:
    """Read a candidates file once, and split it into training and validation.

    Raises:
        FileNotFoundError, ValueError: no such file, or there is nothing to learn from it.
    """
    prompts, header = read_labels(path), read_header(path)
    check_has_prompts(prompts, path)
    groups = groups_of(prompts, header["task"])
    labels = label_prompts(prompts, groups, options.validation)
    check_loss(labels, options.loss)
    return TrainingData(path, header, prompts, labels)


def check_source(source: FeatureSource, data: TrainingData) -> None:
    """Whether features are of these candidates, as the model wrote them.

    A source may have been made from another file, and would pair features with its labels.

    Raises:
        ValueError: of another model, or of other prompts.
    """
    written_for = as_identity(source.spec.model, source.spec.fingerprint, "the features")
    check_training_data(data.prompts, data.header, written_for, data.path)
    wanted = identities(data.prompts)
    if source.identities != wanted:
        raise ValueError(
            f"the features are of {len(source.identities)} prompts, {data.path} has {len(wanted)}, "
            f"and {_num_same(source.identities, wanted)} of them stand in one place with the same "
            "tokens; make the features from this file"
        )


def _num_same(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=False))
