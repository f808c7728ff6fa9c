"""Ctrl-C while the weights of an adapter are read: its dropout is on again where it was."""

import peft

from interrupt_cases import Interrupter, first_times, places_of
from swift_bon.models import interrupts, sampled_weights
from swift_bon.models.sampled_weights import fingerprint
from tiny_models import tiny_model

MODULES = [interrupts]


def test_an_interrupt_at_any_point():
    targets = {"target_modules": ["q_proj", "v_proj"], "init_lora_weights": False}
    config = peft.LoraConfig(r=2, lora_dropout=0.5, task_type="CAUSAL_LM", **targets)
    model = peft.get_peft_model(tiny_model("llama"), config).train()
    model.base_model.model.model.layers[1].eval()
    modes = [module.training for module in model.modules()]
    places = places_of(MODULES, lambda: fingerprint(model))
    assert places
    for index in first_times(places):
        sampled_weights._known.clear()
        interrupt = Interrupter(MODULES, index).run(lambda: fingerprint(model))
        assert interrupt is not None, places[index]
        assert [module.training for module in model.modules()] == modes, places[index]
