"""Every family of the installed transformers that writes text, as a tiny random model."""

from typing import NamedTuple

import torch
import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto

from family_exceptions import CHANGES
from family_shapes import tiny_config


class Family(NamedTuple):
    """A model type of transformers, and the class of it that writes text."""

    model_type: str
    class_name: str


def families() -> list[Family]:
    """Those of text alone first, then those that read pictures too."""
    mappings = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )
    return list(dict.fromkeys(Family(*item) for mapping in mappings for item in mapping.items()))


def family_model(family: Family, seed: int = 0):
    """A random model of a family, in evaluation mode, without touching the caller's stream."""
    model_class = getattr(transformers, family.class_name)
    config = CONFIG_MAPPING[family.model_type]()
    for part in vars(config).values():  # a model of text alone takes the part of the text
        if type(part) is model_class.config_class:
            config = part
    config = tiny_config(config, CHANGES.get(config.model_type, {}))
    if hasattr(config, "is_decoder"):
        config.is_decoder = True
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
        widen(model)
    return model.eval()


@torch.no_grad()
def widen(model) -> None:
    """Weights that start equal, or close to nothing, would hide mistakes."""
    for parameter in model.parameters():
        if not parameter.is_floating_point():
            continue
        mean = parameter.mean().item()
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=mean, std=0.1)
        elif parameter.std() < 0.1:
            torch.nn.init.normal_(parameter, mean=mean, std=0.2)
