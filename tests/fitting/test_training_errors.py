"""What training refuses, and in which words: bad data, bad features, nothing to learn."""

import pytest

from feature_cases import shared_model, write_candidates
from fit_cases import TRAINING, PlantedSource, begin_fit, planted_prompts, with_verdicts
from swift_bon.candidates.files import read_candidates, read_header, write_header
from swift_bon.features.model_features import stream_features
from swift_bon.features.store import FeatureStore
from swift_bon.fitting.training import train_reward_head
from tiny_models import tiny_tokenizer

SETTINGS = {**TRAINING, "epochs": 2, "batch_size": 32}


def test_unknown_option(path, store, tmp_path):
    with pytest.raises(TypeError, match="learning_rate is not an option, expected one of"):
        train_reward_head(path, store, tmp_path / "head", learning_rate=0.1)
    assert not (tmp_path / "head").exists()


def test_candidates_of_another_model(prompts, store, tmp_path):
    path = write_candidates(tmp_path / "b.jsonl", prompts)
    write_header(path, {**read_header(path), "model": "other/model"})
    with pytest.raises(ValueError, match="was written by the model 'other/model'"):
        train_reward_head(path, store, tmp_path / "head", **SETTINGS)
    assert not (tmp_path / "head").exists()


def test_no_store(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no feature store"):
        train_reward_head(path, tmp_path / "none", **SETTINGS)


def test_no_prompts(store, tmp_path):
    empty = write_candidates(tmp_path / "empty.jsonl", [])
    with pytest.raises(ValueError, match="has no prompts; collect some first"):
        train_reward_head(empty, store, **SETTINGS)


def test_one_prompt(prompts, store, tmp_path):
    one = write_candidates(tmp_path / "one.jsonl", prompts[:1])
    with pytest.raises(ValueError, match="of 1 prompts.*collect more questions"):
        train_reward_head(one, store, tmp_path / "head", **SETTINGS)
    assert not (tmp_path / "head").exists()


@pytest.mark.parametrize("verdict", [True, False], ids=["all-right", "all-wrong"])
def test_nothing_to_learn(prompts, store, tmp_path, verdict):
    path = write_candidates(tmp_path / "same.jsonl", with_verdicts(prompts, lambda c: verdict))
    with pytest.raises(ValueError, match="expected right and wrong ones"):
        train_reward_head(path, store, **SETTINGS)


def test_prompts_that_the_store_has_not(prompts, store, tmp_path):
    more = write_candidates(tmp_path / "more.jsonl", planted_prompts(43))
    with pytest.raises(ValueError, match="has no features of 3 of 43 prompts"):
        train_reward_head(more, store, **SETTINGS)


def test_source_of_other_candidates(path, prompts, tmp_path):
    few = write_candidates(tmp_path / "few.jsonl", prompts[:30])
    source = stream_features(shared_model(), tiny_tokenizer(), few)
    message = "are of 30 prompts, .* has 40, and 30 of them stand.*make the features from"
    with pytest.raises(ValueError, match=message):
        train_reward_head(path, source, **SETTINGS)
    source = stream_features(shared_model(), tiny_tokenizer(), path)
    with pytest.raises(ValueError, match="are of 40 prompts, .* has 30"):
        train_reward_head(few, source, **SETTINGS)


@pytest.mark.parametrize("kind", ["store", "model"])
def test_candidates_in_another_order(path, prompts, store, tmp_path, kind):
    """As many prompts with as many candidates: only ids and tokens tell them apart."""
    turned = write_candidates(tmp_path / "turned.jsonl", prompts[::-1])
    if kind == "store":
        source = FeatureStore(store, read_candidates(path))
    else:
        source = stream_features(shared_model(), tiny_tokenizer(), path)
    with pytest.raises(ValueError, match="and 0 of them stand in one place"):
        train_reward_head(turned, source, **SETTINGS)


@pytest.mark.parametrize("side", ["training", "validation"])
@pytest.mark.parametrize("loss", ["pairwise", "dpo"])
def test_no_prompt_to_compare_in(side, loss):
    """Right and wrong candidates, but never in one prompt: bce may, these losses cannot."""
    source = PlantedSource(24)
    for position, is_out in enumerate(source.labels().is_validation):
        if is_out == (side == "validation"):
            source.correct[position].fill_(position % 8 < 4)
    message = f"the {side} side .* nothing for the loss '{loss}'.* or take the loss 'bce'"
    with pytest.raises(ValueError, match=message):
        begin_fit(source, loss=loss).run_epoch()
    begin_fit(source, loss="bce").run_epoch()


@pytest.mark.parametrize("standardize", [True, False], ids=["standardised", "as it is"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_nan_in_a_feature(value, standardize):
    source = PlantedSource(24)
    source._packs[1].states[2, 3] = value
    with pytest.raises(ValueError, match="the features hold NaN or inf"):
        begin_fit(source, standardize=standardize)


def test_flipped_byte_in_the_store(path, store, tmp_path):
    copy = tmp_path / "store"
    copy.mkdir()
    for file in store.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (shard,) = copy.glob("shard-*")
    content = bytearray(shard.read_bytes())
    content[-5] ^= 64
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: .* delete the file and extract again"):
        train_reward_head(path, copy, tmp_path / "head", **SETTINGS)


def test_loss_that_is_not_finite(path, store, tmp_path):
    with pytest.raises(ValueError, match="the validation loss is (nan|inf) in epoch 1; lower"):
        train_reward_head(path, store, tmp_path, **{**SETTINGS, "learning_rates": (1e30,)})
    assert list(tmp_path.iterdir()) == []
