"""Ctrl-C at any point of `best_of_n`: afterwards the model is as it was, and so are the results."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from best_of_cases import run
from interrupt_cases import Interrupter, first_times, places_of
from model_probes import hooks_of
from swift_bon.generation import scored_decoding, stopping
from swift_bon.models import capture, interrupts, prefix
from tiny_models import tiny_model

MODULES = [scored_decoding, stopping, capture, interrupts, prefix]
SHORT = {"prompts": ["Hi"], "num_return_sequences": 2, "max_new_tokens": 2}
HELPERS = Path(__file__).parent.parent / "helpers"


def test_an_interrupt_at_any_point():
    model = tiny_model("llama", num_hidden_layers=3)
    model.model.layers[0].train()
    modes = [module.training for module in model.modules()]
    config = model.generation_config.to_dict()
    expected = run(model, **SHORT)
    hooks = hooks_of(model)
    places = places_of(MODULES, lambda: run(model, **SHORT))
    assert run(model, **SHORT) == expected
    kept = []  # as a notebook keeps the last traceback, with all of its frames
    for index in first_times(places):
        kept.append(Interrupter(MODULES, index).run(lambda: run(model, **SHORT)))
        assert kept[-1] is not None, places[index]
        assert [module.training for module in model.modules()] == modes
        assert run(model, **SHORT) == expected, places[index]
        assert hooks_of(model) == hooks, places[index]
    assert model.generation_config.to_dict() == config


PROGRAM = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
from best_of_cases import run
from model_probes import hooks_of
from tiny_models import tiny_model

model = tiny_model("llama", attention_dropout=0.5).train()
options = {"num_return_sequences": 2, "max_new_tokens": 60, "eos_token_id": None}
model.eval()
expected = run(model, **options)
hooks = hooks_of(model)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
for _ in range(int(sys.argv[2])):
    print("ready", flush=True)
    try:
        while True:
            run(model, **options)
    except KeyboardInterrupt as interrupt:
        sys.last_value = interrupt
    assert not any(module.training for module in model.modules())
    assert run(model, **options) == expected
    assert hooks_of(model) == hooks
print("done", flush=True)
"""


def test_a_signal_at_a_random_moment():
    draw, times = random.Random(0), 4
    command = [sys.executable, "-c", PROGRAM, str(HELPERS), str(times)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(times):
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=draw.uniform(0, 0.3))
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "done\n"
    assert process.returncode == 0
