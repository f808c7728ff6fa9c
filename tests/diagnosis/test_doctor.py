"""Models that are right are green, in every check that looks at them."""

import pytest
import torch

from swift_bon import doctor
from tiny_models import tiny_model, tiny_tokenizer

OPTIONS = {"num_return_sequences": 3, "max_new_tokens": 8, "show_progress": False}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
def test_a_plain_model_is_green(name, dtype):
    report = doctor(tiny_model(name, dtype), tiny_tokenizer(), **OPTIONS)
    assert report.passed, report
    skipped = [check.name for check in report.checks if check.status == "skipped"]
    assert skipped == ["head"]
