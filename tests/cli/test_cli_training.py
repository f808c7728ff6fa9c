"""The commands from a model to a head: collect, extract, train, and their errors."""

import json

import pytest
from typer.testing import CliRunner

from feature_cases import write_candidates
from fit_cases import planted_prompts
from swift_bon.candidates.files import read_candidates
from swift_bon.cli import app
from swift_bon.cli.training import parse_layers
from swift_bon.features.store_files import read_index
from swift_bon.models import loading as models
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer

QUICK = ("--epochs", 2, "--seeds", 0, "--learning-rates", 0.03, "--validation", 0.3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    tiny_model("llama").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def path(model, tmp_path):
    return write_candidates(tmp_path / "a.jsonl", planted_prompts(), model=str(model))


@pytest.fixture
def run(model):
    def run(*arguments):
        texts = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, [*texts, "--model", str(model)])

    return run


@pytest.fixture
def loads(monkeypatch):
    """Names of the models that were loaded."""
    loaded = []
    load_model = models.load_model

    def load(name, **kwargs):
        loaded.append(name)
        return load_model(name, **kwargs)

    monkeypatch.setattr(models, "load_model", load)
    return loaded


def last_json(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


def assert_error(result, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_collect_then_train(run, tmp_path):
    path = tmp_path / "train.jsonl"
    record = last_json(run("collect", path, "--limit", 4, "-n", 2, "--json"))
    assert (record["num_prompts"], record["num_candidates"]) == (4, 8)
    assert len(read_candidates(path)) == 4
    assert_error(run("train", path, tmp_path / "out", *QUICK), "expected right and wrong ones")
    assert not (tmp_path / "out").exists()


def test_extract_then_train(run, path, tmp_path, loads):
    store = tmp_path / "store"
    options = ("--projection", "none", "--dtype", "float32", "--layers", "0,2-3")
    result = run("extract", path, store, *options, "--scored-tokens", "response", "--json")
    record = last_json(result)
    num_tokens = sum(len(c.token_ids) for p in read_candidates(path) for c in p.candidates)
    assert record["num_tokens"] == num_tokens
    assert (record["dim"], record["dtype"], record["layers"]) == (96, "float32", [0, 2, 3])
    assert f"the features of {num_tokens} tokens" in result.stderr
    assert len(loads) == 1
    result = run("train", path, tmp_path / "head", "--features", store, *QUICK, "--json")
    record = last_json(result)
    head = RewardHead.from_pretrained(tmp_path / "head")
    assert (head.layers, head.scored_tokens) == ((0, 2, 3), "response")
    assert len(loads) == 1  # the store is whole
    assert record["output"] == str(tmp_path / "head")
    report = json.loads((tmp_path / "head" / "training.json").read_text())
    assert record["fits"][0]["auroc"] == report["fits"][0]["auroc"]
    assert "history" not in record["fits"][0]


def test_train_alone_makes_the_store_and_takes_it_again(run, path, tmp_path, loads):
    assert run("train", path, tmp_path / "one", *QUICK).exit_code == 0
    store = tmp_path / "a.features"
    spec, source = read_index(store)
    assert (spec.scored_tokens, source["projection"]) == ("fed", "mixed")
    before = {file: file.stat().st_mtime_ns for file in store.iterdir()}
    result = run("train", path, tmp_path / "two", "--loss", "pairwise", "--no-gated", *QUICK)
    assert result.exit_code == 0
    assert len(loads) == 1
    assert {file: file.stat().st_mtime_ns for file in store.iterdir()} == before
    assert not RewardHead.from_pretrained(tmp_path / "two").gated


def test_train_finishes_a_store_that_was_killed(run, path, tmp_path, loads):
    store = tmp_path / "a.features"
    options = ("--projection", "per_layer", "--projection-dim", 64)
    assert run("extract", path, store, *options).exit_code == 0
    (store / "shards.jsonl").write_text("")
    assert run("train", path, tmp_path / "head", *QUICK).exit_code == 0
    assert len(loads) == 2
    assert read_index(store)[1]["projection"] == "per_layer"
    assert len((store / "shards.jsonl").read_text().splitlines()) == 1


def test_no_store(run, path, tmp_path):
    options = ("--no-store", "--layers", "0,2-3", "--scored-tokens", "response")
    record = last_json(run("train", path, tmp_path / "head", *options, *QUICK, "--json"))
    assert record["fits"][0]["epoch"] in (0, 1)
    assert {file.name for file in tmp_path.iterdir()} == {"a.jsonl", "a.header.json", "head"}
    head = RewardHead.from_pretrained(tmp_path / "head")
    assert (head.layers, head.scored_tokens) == ((0, 2, 3), "response")


def test_layers_of_a_new_store(run, path, tmp_path):
    """The projection mixes the layers that were asked for, so that they can be read."""
    options = ("--layers", "0,2-3", *QUICK)
    assert run("train", path, tmp_path / "head", *options).exit_code == 0
    assert read_index(tmp_path / "a.features")[0].layers == (0, 2, 3)
    assert RewardHead.from_pretrained(tmp_path / "head").layers == (0, 2, 3)


def test_every_option_arrives(run, path, tmp_path):
    given = {
        "loss": "infonca",
        "alpha": 0.5,
        "seeds": [3, 1],
        "learning_rates": [0.02, 0.01],
        "weight_decay": 0.2,
        "schedule": "constant",
        "epochs": 2,
        "patience": 1,
        "batch_size": 40,
        "validation": 0.3,
        "select_by": "best_of_n",
    }
    arguments = []
    for name, value in given.items():
        flag = {"learning_rates": "--learning-rates"}.get(name, "--" + name.replace("_", "-"))
        for item in value if isinstance(value, list) else [value]:
            arguments += [flag, item]
    result = run("train", path, tmp_path / "head", *arguments, "--no-gated")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "head" / "training.json").read_text())
    assert {name: report["options"][name] for name in given} == given
    assert report["options"]["gated"] is False
    assert f"chosen: {report['chosen']}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "{tmp}/none.jsonl", "{tmp}/out"), "there is no candidates file"),
        (("extract", "{tmp}/none.jsonl", "{tmp}/store"), "there is no candidates file"),
        (("train", "{path}", "{tmp}/out", "--loss", "mse"), "loss is 'mse', expected"),
        (("train", "{path}", "{tmp}/out", "--layers", "0,x"), "layers is '0,x', expected"),
        (("train", "{path}", "{tmp}/out", "--layers", "0,99"), "expected indices from 0 to 3"),
        (("train", "{path}", "{tmp}/out", "--no-store", "--layers", "-1"), "layers is '-1'"),
        (("train", "{path}", "{tmp}/out", "--epochs", "0"), "epochs is 0"),
        (("train", "{path}", "{tmp}/out", "--learning-rates", "-1"), "learning_rates is -1"),
        (("train", "{path}", "{tmp}/out", "--seeds", "1", "--seeds", "1"), "each one once"),
        (("train", "{path}", "{tmp}/out", "--scored-tokens", "all"), "scored_tokens is 'all'"),
        (("train", "{path}", "{tmp}/out", "--no-store", "--features", "{tmp}/a"), "leave one out"),
        (("extract", "{path}", "{tmp}/store", "--layers", ""), "layers is '', expected"),
        (("extract", "{path}", "{tmp}/store", "--layers", "2,0"), "expected ascending"),
        (("extract", "{path}", "{tmp}/store", "--projection", "pca"), "projection is 'pca'"),
        (("extract", "{path}", "{tmp}/store", "--dtype", "int8"), "dtype is 'int8'"),
        (("collect", "{tmp}/b.jsonl", "--task", "sums"), "task is 'sums'"),
    ],
)
def test_errors_are_one_line(run, path, tmp_path, arguments, message):
    filled = [text.format(path=path, tmp=tmp_path) for text in arguments]
    assert_error(run(*filled), message)
    assert not (tmp_path / "out").exists()
    shards = list(tmp_path.glob("*/shard-*"))
    assert shards == []  # found before the model was run over the candidates


def test_other_settings_than_those_of_the_store(run, path, tmp_path):
    assert run("extract", path, tmp_path / "a.features").exit_code == 0
    train = ("train", path, tmp_path / "out", *QUICK)
    assert_error(run(*train, "--scored-tokens", "response"), "scored_tokens is 'response', the")
    assert_error(run(*train, "--layers", "0,2"), "the projection of these features mixes all")
    result = run("extract", path, tmp_path / "a.features", "--projection-dim", 8)
    assert_error(result, "projection_dim was 512, now 8")


def test_candidates_of_another_model(run, tmp_path):
    path = write_candidates(tmp_path / "b.jsonl", planted_prompts(), model="other/llama")
    for command in (("train", path, tmp_path / "out"), ("extract", path, tmp_path / "store")):
        assert_error(run(*command), "was written by the model 'other/llama'")
    assert_error(run("train", path, tmp_path / "out", "--no-store"), "by the model 'other/llama'")


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        (None, None),
        ("0", [0]),
        ("0,8,16-18", [0, 8, 16, 17, 18]),
        (" 1 , 3 - 5 ", [1, 3, 4, 5]),
        ("3-3", [3]),
    ],
)
def test_layers(text, layers):
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", ",", "a", "1,", "1-", "-1", "1--3", "1.5", "0:3", "5-3"])
def test_bad_layers(text):
    with pytest.raises(ValueError, match="layers is .* expected something like 0,8,16-30"):
        parse_layers(text)
