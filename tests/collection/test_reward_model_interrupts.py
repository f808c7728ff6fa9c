"""Ctrl-C while a reward model scores: its configuration is as it was."""

from interrupt_cases import Interrupter, places_of
from scoring_cases import reward_model
from swift_bon.collection import reward_forward as module
from swift_bon.collection.reward_forward import reward_forward
from swift_bon.models import interrupts

ROWS = [(7, 9, 11), (8, 3)]
MODULES = [module, interrupts]


def test_an_interrupt_at_any_point():
    """Of a model without a pad token: one that is left behind would count as its own."""
    model = reward_model(pad_token_id=None)
    expected = reward_forward(model, ROWS)
    places = places_of(MODULES, lambda: reward_forward(model, ROWS))
    for index, place in enumerate(places):
        interrupt = Interrupter(MODULES, index).run(lambda: reward_forward(model, ROWS))
        assert interrupt is not None, place
        assert model.config.pad_token_id is None, place
    assert reward_forward(model, ROWS) == expected
