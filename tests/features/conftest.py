"""Candidates on disk and stores of them, of the prompts that a file of tests names PROMPTS."""

import pytest

from feature_cases import store_of_small_shards, write_candidates


@pytest.fixture
def path(tmp_path, request):
    return write_candidates(tmp_path / "a.jsonl", request.module.PROMPTS)


@pytest.fixture
def folder(tmp_path):
    """Where a store may be made."""
    return tmp_path / "store"


@pytest.fixture(scope="module")
def original(tmp_path_factory, request):
    """A store of many shards, to be read only."""
    return store_of_small_shards(tmp_path_factory.mktemp("original"), request.module.PROMPTS)
