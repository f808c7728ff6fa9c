"""Rollouts of the paper's scripts as a candidates file: both kinds, their labels, their faults."""

import json

import pytest
from tokenizers.processors import TemplateProcessing

from swift_bon.candidates.files import read_candidates, read_header
from swift_bon.collection.rollouts import ImportReport, import_rollouts, read_rollouts
from swift_bon.tasks import Grade
from tiny_models import BOS, EOS, tiny_tokenizer

# As generate_gsm8k.py writes them with --split train, and with --split test.
TRAIN = [
    {
        "prompt": "What is nine and nine?",
        "reference": "18",
        "dataset": "GSM8K",
        "completions": ["It is \\boxed{18}.", "It is \\boxed{17.0}.", "No idea"],
        "correctness": [True, False, False],
        "steps": [["It is \\boxed{18}."], ["It is \\boxed{17.0}."], ["No idea"]],
    },
    {
        "prompt": "What is nine and nine?",
        "reference": "18",
        "dataset": "GSM8K",
        "completions": ["\\boxed{18}", ""],
        "correctness": [0, 1],
        "steps": [],
    },
]
TEST = [
    {
        "task": "gsm8k",
        "idx": index,
        "prompt": record["prompt"],
        "response": completion,
        "steps": [completion],
        "extracted_output": "",
        "reference": record["reference"],
        "correctness": bool(correct),
    }
    for index, record in enumerate(TRAIN)
    for completion, correct in zip(record["completions"], record["correctness"], strict=True)
]


@pytest.fixture
def run(tmp_path, tokenizer):
    def run(records, path="a.jsonl", lines=False, **settings):
        source = tmp_path / "rollouts.json"
        source.write_text(
            "\n".join(map(json.dumps, records)) if lines else json.dumps(records, indent=2)
        )
        settings = {"model": "meta/llama", "task": "gsm8k", **settings}
        return import_rollouts(source, tmp_path / path, tokenizer, **settings)

    return run


@pytest.mark.parametrize("lines", [False, True], ids=["list", "lines"])
@pytest.mark.parametrize("records", [TRAIN, TEST], ids=["train", "test"])
def test_what_is_imported(run, tmp_path, tokenizer, records, lines):
    report = run(records, lines=lines)
    # our grader finds the candidate right that the file calls wrong, and the other way round
    assert report == ImportReport(
        num_prompts=2,
        num_candidates=5,
        num_correct=2,
        num_answers=3,
        num_disagreeing=2,
        num_ungraded=0,
    )
    first, second = read_candidates(tmp_path / "a.jsonl")
    assert (first.id, second.id) == ("gsm8k/train/0", "gsm8k/train/1")
    assert first.prompt == second.prompt == "What is nine and nine?"
    assert (first.reference, second.reference) == ("18", "18")
    assert first.correct == (True, False, False) and second.correct == (False, True)
    assert [c.answer for c in first.candidates] == ["18", "17", None]
    assert [c.text for c in first.candidates] == TRAIN[0]["completions"]
    for candidate in first.candidates + second.candidates:
        plain = tokenizer(candidate.text, add_special_tokens=False)["input_ids"]
        assert candidate.token_ids == [*plain, EOS]
        assert candidate.scores == {} and candidate.token_scores is None
    assert second.candidates[1].token_ids == [EOS]


def test_the_header(run, tmp_path):
    run(TRAIN, split="test", instruction="Solve this.\n", max_new_tokens=5, end_token_id=3)
    header = read_header(tmp_path / "a.jsonl")
    assert (header["model"], header["task"], header["split"]) == ("meta/llama", "gsm8k", "test")
    imported = header["imported"]
    assert imported["source"] == "rollouts.json" and len(imported["sha256"]) == 64
    assert imported["instruction"] == "Solve this.\n"
    assert (imported["max_new_tokens"], imported["end_token_id"]) == (5, 3)


def test_the_instruction_stands_before_the_prompt(run, tmp_path):
    run(TRAIN, instruction="Solve this.\n", split="test")
    first = read_candidates(tmp_path / "a.jsonl")[0]
    assert first.prompt == "Solve this.\nWhat is nine and nine?"
    assert first.id == "gsm8k/test/0"


def test_a_completion_begins_no_text(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    assert tokenizer("It")["input_ids"][0] == BOS
    source = tmp_path / "rollouts.json"
    source.write_text(json.dumps(TRAIN))
    import_rollouts(source, tmp_path / "a.jsonl", tokenizer, model="m", task="gsm8k")
    for prompt in read_candidates(tmp_path / "a.jsonl"):
        assert all(BOS not in candidate.token_ids for candidate in prompt.candidates)


def test_what_was_cut_off_gets_no_end(run, tmp_path):
    length = len("No idea")  # a token per character
    for limit, is_cut in ((length, True), (length + 1, False)):
        run(TRAIN, f"{limit}.jsonl", max_new_tokens=limit, end_token_id=5)
        ids = read_candidates(tmp_path / f"{limit}.jsonl")[0].candidates[2].token_ids
        assert (ids[-1] != 5) == is_cut and len(ids) == length + (not is_cut)


@pytest.mark.parametrize(
    ("settings", "answers", "num_ungraded"),
    [
        ({"task": "somebody's"}, [None, None, None], 2),
        ({"task": "basics"}, [None, None, None], 2),
        ({"task": "aqua_rat"}, [None, None, None], 2),  # 18 is no letter
        ({"task": "somebody's", "grader": "text"}, ["18", "17.0", "no idea"], 0),
        ({"grader": lambda question, text: Grade("x", False)}, ["x", "x", "x"], 0),
    ],
    ids=["unknown", "no-grader", "other-grader", "named", "function"],
)
def test_who_reads_the_answers(run, tmp_path, settings, answers, num_ungraded):
    report = run(TRAIN, **settings)
    assert report.num_ungraded == num_ungraded
    first = read_candidates(tmp_path / "a.jsonl")[0]
    assert [candidate.answer for candidate in first.candidates] == answers
    assert first.correct == (True, False, False)  # the file's


def test_completions_of_one_prompt_follow_each_other(run, tmp_path):
    again = [*TEST, TEST[0]]  # the first prompt once more: another prompt
    assert run(again).num_prompts == 3
    other = [TEST[0], {**TEST[1], "idx": 7}, {**TEST[2], "idx": 7, "prompt": "Another?"}]
    assert run(other, "b.jsonl").num_prompts == 3
    mixed = [TEST[0], TEST[1], TRAIN[0], TEST[2]]
    assert run(mixed, "c.jsonl").num_prompts == 3
    numbers = [len(prompt.candidates) for prompt in read_candidates(tmp_path / "c.jsonl")]
    assert numbers == [2, 3, 1]


def test_records_without_reference_or_steps(run, tmp_path):
    bare = {key: TRAIN[0][key] for key in ("prompt", "completions", "correctness")}
    assert run([bare, {**bare, "reference": 18}]).num_ungraded == 1
    first, second = read_candidates(tmp_path / "a.jsonl")
    assert (first.reference, second.reference) == ("", "18")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, "prompt is NoneType, expected str"),
        ({"prompt": ...}, "has no field 'prompt'"),
        ({"reference": ["18"]}, "reference is list, expected a string"),
        ({"reference": True}, "reference is bool, expected a string"),
        ({"completions": "It"}, "completions is str, expected list"),
        ({"completions": []}, "completions is .*, expected a list of strings"),
        ({"completions": ["a", None, "b"]}, "completions is .*, expected a list of strings"),
        ({"completions": ...}, "has neither completions nor response, it has: prompt"),
        ({"correctness": ...}, "has no field 'correctness'"),
        ({"correctness": [True, False]}, "correctness has 2 labels for 3 completions"),
        ({"correctness": [True, False, "no"]}, r"correctness\[2\] is 'no', expected true"),
        ({"correctness": [True, 2, False]}, r"correctness\[1\] is 2, expected true"),
        ({"correctness": [0.0, 1, 0]}, r"correctness\[0\] is 0.0, expected true"),
        ({"correctness": True}, "correctness is bool, expected list"),
    ],
)
def test_a_bad_record_is_named_and_writes_nothing(run, tmp_path, change, message):
    bad = {key: value for key, value in {**TRAIN[0], **change}.items() if value is not ...}
    with pytest.raises(ValueError, match=f"row 1 of .*rollouts.json:? {message}"):
        run([TRAIN[1], bad])
    assert [path.name for path in tmp_path.iterdir()] == ["rollouts.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": 5}, "response is int, expected str"),
        ({"correctness": "yes"}, "correctness is str, expected bool or int"),
        ({"correctness": 3}, r"correctness\[0\] is 3, expected true"),
    ],
)
def test_a_bad_completion_is_named(run, change, message):
    with pytest.raises(ValueError, match=f"row 1 of .*: {message}"):
        run([TEST[0], {**TEST[1], **change}])


def test_what_is_refused_at_once(run, tmp_path, tokenizer):
    with pytest.raises(ValueError, match="has no records; expected a list"):
        run([])
    with pytest.raises(ValueError, match="max_new_tokens is 0, expected None or at least 1"):
        run(TRAIN, max_new_tokens=0)
    with pytest.raises(ValueError, match="grader is 'maths', expected one of"):
        run(TRAIN, grader="maths")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        import_rollouts(
            tmp_path / "gone.json", tmp_path / "a.jsonl", tokenizer, model="m", task="gsm8k"
        )
    endless = tiny_tokenizer()
    endless.eos_token = None
    with pytest.raises(ValueError, match="end_token_id is None and the tokenizer has no eos"):
        import_rollouts(tmp_path / "x", tmp_path / "a.jsonl", endless, model="m", task="gsm8k")
    assert [path.name for path in tmp_path.iterdir()] == ["rollouts.json"]
    run(TRAIN)
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(ValueError, match="path is '.*a.jsonl', which exists; use another"):
        run(TRAIN[:1])
    assert (tmp_path / "a.jsonl").read_bytes() == before


def test_one_prompt_after_the_other(tmp_path):
    source = tmp_path / "a.json"
    source.write_text(json.dumps(TRAIN[0]) + "\n" + json.dumps(TRAIN[1]) + "\nnonsense\n")
    rollouts = read_rollouts(source)
    assert next(rollouts).correctness == [True, False, False]
    with pytest.raises(ValueError, match="line 3 of .* is not JSON"):
        list(rollouts)
