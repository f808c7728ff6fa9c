import json
import math

import pytest
import torch

import reward_models
from measuring.oracle import SHAPES, WrongAnswer
from peers import reward_latency
from peers.baselines import (
    CONFIGS,
    POLICIES,
    REWARD_MODELS,
    SCORE_READ,
    build_policy,
    build_reward_model,
    config_of,
)
from peers.reward_flops import check_flops, head_flops, reward_model_flops, swift_flops
from rendering.reward_tables import WAYS, ratio_ranges, render, tables

PARAMETERS = {  # of the language models, with their heads, as published
    "Mistral-7B": 7.24e9,
    "Llama-3.1-8B": 8.03e9,
    "Llama-2-7B": 6.74e9,
    "Llama-2-13B": 13.02e9,
    "Qwen3-1.7B": 1.72e9,
    "Llama-3.2-3B": 3.21e9,
    "Ministral-8B": 8_019_808_256,
}
TOKENS = ["--prompt-tokens", "6", "--response-tokens", "5"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(reward_models, "BUDGET_MS", 1.0)

    def run_main(*flags):
        record = reward_models.main(["--small", *TOKENS, "--out", str(tmp_path), *flags])
        [path] = tmp_path.iterdir()
        assert path.name == "reward_models_small.json"  # never over a measurement
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(record))
        return record

    return run_main


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_has_the_published_number_of_parameters(name):
    model = build_policy(name, "meta")
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == pytest.approx(PARAMETERS[name], rel=0.005)


def test_the_seven_reward_models_and_their_sources():
    assert len({model.name for model in REWARD_MODELS}) == 7
    for model in REWARD_MODELS:
        assert model.base in CONFIGS and model.score_read in SCORE_READ
        assert model.source.startswith("https://huggingface.co/")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_has_the_shape_of_the_other_benchmarks(policy):
    config = config_of(policy)
    shape = SHAPES[policy]
    assert (shape.num_layers, shape.hidden_size) == (
        config.num_hidden_layers + 1,
        config.hidden_size,
    )


@pytest.mark.parametrize("model", REWARD_MODELS, ids=lambda model: model.name)
def test_flops_of_a_reward_model_are_two_per_weight_and_token_and_attention(model):
    num_tokens = 96
    built = build_reward_model(model, "meta")
    embedding = built.get_input_embeddings().weight
    matrices = sum(p.numel() for p in built.parameters() if p.dim() == 2) - embedding.numel()
    config = built.config
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * 128 * num_tokens**2
    row = reward_model_flops(model, num_tokens)
    assert row["flops"] == pytest.approx(2 * num_tokens * matrices + attention, rel=1e-5)
    assert row["flops"] > 2 * num_tokens * matrices + 0.99 * attention
    assert row["parameters"] == sum(p.numel() for p in built.parameters())


def test_flops_of_swift_by_each_way():
    num_layers, hidden_size, prompt, response = 29, 3072, 40, 24
    row = swift_flops("Llama-3.2-3B", prompt, response)
    per_token = 4 * num_layers * hidden_size
    weights = 3_212_749_824 - 57 * 3072  # tied: the embedding is the language-model head
    step_attention = 4 * 28 * 3072 * (prompt + response)
    step = row["generate_response"] - per_token * response
    forward = row["second_forward"] - per_token * response
    assert row["head"] == per_token * response
    assert row["generate_fed"] == per_token * (response - 1)  # the last token is never fed
    assert step == pytest.approx(2 * weights + step_attention, rel=1e-5)
    assert forward == pytest.approx((prompt + response) * step, rel=1e-5)


def test_a_wrong_count_ends_the_run():
    check_flops("right", 1_100, (1_000, 100))
    for counted in (1_000, 1_090, 1_110, 2_200):  # without attention, too little, too much, twice
        with pytest.raises(SystemExit, match="expected 1.0000e[+]03 in linear layers"):
            check_flops("wrong", counted, (1_000, 100))


def test_flops_of_the_head_are_four_per_element():
    assert head_flops(5, 48, 7) == 4 * 5 * 48 * 7


@pytest.mark.parametrize("model", REWARD_MODELS, ids=lambda model: model.name)
def test_a_reward_model_is_built_in_bfloat16_and_gives_finite_scores(model):
    built = build_reward_model(model, "cpu", small=True)
    assert {parameter.dtype for parameter in built.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in built.parameters())
    assert built.config.model_type == CONFIGS[model.base].model_type
    logits = built(input_ids=torch.randint(1, 256, (3, 9)), use_cache=False).logits
    assert logits.shape == ((3, 1) if model.score_read == "scalar" else (3, 9, 256))
    assert logits.isfinite().all() and logits.std() > 0


def test_the_whole_comparison_with_tiny_models(run, capsys):
    record = run("--device", "cpu")
    latency = record["latency"]
    assert latency["batches"] == [1, 16]
    names = [(row["name"], row["batch"]) for row in latency["reward_models"]]
    assert names == [(model.name, batch) for model in REWARD_MODELS for batch in (1, 16)]
    for row in latency["reward_models"]:
        assert 0 < row["p20_ms"] <= row["p50_ms"] <= row["p80_ms"]
    policies = [(row["policy"], row["batch"]) for row in latency["swift"]]
    assert policies == [(policy, batch) for policy in POLICIES for batch in (1, 16)]
    for row in latency["swift"]:  # 5 response tokens, of which 4 are fed
        assert all(row[way] > 0 for way in WAYS)
        assert row["generate_fed"] == pytest.approx(4 * row["update_ms"] / row["batch"])
        response = (5 * row["update_ms"] + row["step_ms"]) / row["batch"]
        assert row["generate_response"] == pytest.approx(response)
    text = render(record)
    assert "not measured" not in text and "The weights are random" in text
    assert "| Eurus-RM-7b | Mistral-7B, scalar |" in text
    assert text.count("| Ministral-8B |") == 3  # FLOPs, and two batches
    for _, rows in tables(record):
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["latency"] is not None


def test_a_count_keeps_the_times_of_the_same_lengths(run):
    measured = run("--device", "cpu")["latency"]
    assert measured["machine"]["torch"] == torch.__version__
    assert run("--flops-only")["latency"] == json.loads(json.dumps(measured))
    assert run("--flops-only", "--response-tokens", "6")["latency"] is None


def test_what_was_timed_before_the_end_is_kept(run, tmp_path, monkeypatch):
    def stop(model, workload):
        path = tmp_path / "reward_models_small.json"
        records.append(json.loads(path.read_text(encoding="utf-8")))
        if model.name == "UltraRM-13b":
            raise RuntimeError("out of memory")
        if len(records) == len(REWARD_MODELS):
            raise KeyboardInterrupt
        return [{"name": model.name, "batch": 1, "p50_ms": 1.0}]

    records = []
    monkeypatch.setattr(reward_latency, "reward_model_latency", stop)
    with pytest.raises(KeyboardInterrupt):
        run("--device", "cpu")
    for num_timed, record in enumerate(records):
        assert record["complete"] is False
        assert len(record["latency"]["swift"]) == 2 * len(POLICIES)
        assert len(record["latency"]["reward_models"]) == min(num_timed, 5)
        assert "batch 1:" in render(record) or num_timed == 0
        assert "batch 16:" not in render(record)
    assert records[-1]["failures"] == ["UltraRM-13b: RuntimeError: out of memory"]


def test_flops_only_measures_no_time(run):
    record = run("--device", "cpu", "--flops-only")
    assert record["latency"] is None
    text = render(record)
    assert "| UltraRM-13b | not measured | not measured |" in text
    assert "Times: not measured." in text and "The weights are random" in text
    assert "42,914x to 89,988x" in text


def test_ratios_are_reward_model_over_swift():
    swift = dict.fromkeys(WAYS, 2.0)
    costs = {
        "reward_models": [{"flops": 10.0}, {"flops": 4.0}],
        "swift": [swift, {**swift, "head": 0.5, "second_forward": 20.0}],
    }
    ranges = ratio_ranges(costs, "flops")
    assert ranges["head"] == [2.0, 20.0]
    assert ranges["generate_fed"] == [2.0, 5.0]
    assert ranges["second_forward"] == [0.2, 5.0]


def test_wrong_answers_are_not_timed(monkeypatch):
    monkeypatch.setattr(reward_latency, "score_candidates", lambda states, head: torch.ones(1))
    workload = reward_latency.Workload(torch.device("cpu"), 6, 5, (1,), 1.0, True)
    head = reward_latency.RewardHead(3, 64).requires_grad_(False)
    with pytest.raises(WrongAnswer, match="score_candidates gives"):
        reward_latency.time_head(head, 1, workload)
    with pytest.raises(WrongAnswer, match="RunningScore gives"):
        reward_latency.time_update(head, 1, workload)
    policy = build_policy("Ministral-8B", "cpu", small=True)
    with pytest.raises(WrongAnswer, match="score_candidates gives"):
        reward_latency.time_second_forward(policy, head, 1, workload)
    with pytest.raises(WrongAnswer, match="Eurus gives NaN"):
        reward_latency._check_finite("Eurus", torch.tensor([0.0, math.nan]))


@pytest.mark.parametrize("count", ["1", "0", "-3"])
def test_too_few_tokens_are_refused(count, capsys):
    with pytest.raises(SystemExit):
        reward_models.main(["--response-tokens", count])
    assert "expected at least 2" in capsys.readouterr().err
