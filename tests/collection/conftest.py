"""What tests of this room are given: a model, its tokenizer, and a candidates file."""

import pytest

from added_cases import write
from feature_cases import named_model
from tiny_models import tiny_tokenizer


@pytest.fixture(scope="module")
def model():
    return named_model()


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture
def path(tmp_path, request):
    """A candidates file with the `PROMPTS` of the test's module."""
    return write(tmp_path, request.module.PROMPTS)
