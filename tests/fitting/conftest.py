"""Candidates with a signal, on disk, and their states in a store; to be read only."""

import pytest

from feature_cases import extract, write_candidates
from fit_cases import planted_prompts


@pytest.fixture(scope="module")
def prompts():
    return planted_prompts()


@pytest.fixture(scope="module")
def path(prompts, tmp_path_factory):
    return write_candidates(tmp_path_factory.mktemp("candidates") / "a.jsonl", prompts)


@pytest.fixture(scope="module")
def store(path, tmp_path_factory):
    return extract(path, tmp_path_factory.mktemp("store"), projection=None, dtype="float32").folder
