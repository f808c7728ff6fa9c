"""The page runs nothing but its own script, and shows every text as the text that it is."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from page_cases import HOSTILE, METHODS, Page, make_candidate, make_prompt, make_record
from swift_bon.evaluation.page import assembly, render_page
from swift_bon.evaluation.page.formats import clean, escape, to_json

PICKS = {"swift": [1], "mean_logprob": [0]}


def hostile_page(text: str) -> str:
    """With the text wherever a text can come from."""
    record = make_record()
    record["methods"] = [{**method, "label": text} for method in record["methods"]]
    record["methods"].append({"name": text + "!", "label": text, "family": "reward"})
    record[text + "!"] = 0.2
    for name in ("curves", "calibration", "intervals", "auroc"):
        record[name][text + "!"] = record[name]["swift"]
    record["candidates"] = {
        "model": "m" + text,
        "task": "t" + text,
        "split": "s" + text,
        "sampling": {text: text},
    }
    candidates = [
        make_candidate(text, answer=text, scores={text: 1.0, "swift": 2.0}, num_tokens=3),
        make_candidate(text, token_scores=None),
    ]
    prompt = make_prompt(text, prompt=text, reference=text, candidates=candidates)
    picks = {**PICKS, text + "!": [0]}
    return render_page(record, [prompt], picks, title="about " + text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_becomes_an_element_or_an_attribute(text):
    page, harmless = Page(hostile_page(text)), Page(hostile_page("words"))
    shapes = [
        [(tag, list(attributes)) for tag, attributes in elements]
        for elements in (page.elements, harmless.elements)
    ]
    assert shapes[0] == shapes[1]
    assert page.inline == harmless.inline


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_texts_arrive_as_they_are(text):
    source = hostile_page(text)
    assert source.encode().decode() == source  # UTF-8 exists: no lone surrogate is left
    page, expected = Page(source), clean(text)
    seen = re.sub("[\0\u202e\u2066]", "\ufffd", expected)  # else they turn what follows around
    (entry,) = page.questions
    assert (entry["id"], entry["prompt"]) == (expected, seen)
    assert page.blocks["question-0"]["reference"] == seen
    first, second = sorted(page.candidates(), key=lambda candidate: candidate["index"])
    assert first["text"] == second["text"] == first["answer"] == seen
    assert first["scores"] == {expected: 1.0, "swift": 2.0}
    assert page.blocks["questions"]["methods"][expected + "!"] in (expected, expected + "!")
    shown = re.sub("[\0\u202e\u2066]", "\ufffd", expected)
    shown = re.sub("[\x1b\r\n\t\x7f\x85\u2028\u2029]", " ", shown)  # in a sentence: one line
    title = page.texts[page.texts.index("about " + shown)]
    assert title == "about " + shown
    for part in ("m", "t", "s"):
        assert part + shown in page.texts
    assert page.attributes("aria-label").count("reliability of " + shown) == 2


def test_nothing_is_loaded_and_nothing_runs_but_the_script():
    page = Page(hostile_page(HOSTILE["script"]))
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for name in ("script", "style"):
        (content,) = page.inline[name]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
        assert "\r" not in content  # which a browser would turn into \n before it hashes
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | {"style", "src"} & names
    assert page.attributes("href") == ["data:,"]  # or the browser asks for /favicon.ico
    assert "http" not in page.inline["style"][0] and "url(" not in page.inline["style"][0]


def test_the_script_makes_elements_from_texts_only():
    (script,) = Page(render_page(None, [], {}, title="t")).inline["script"]
    for name in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "fetch"):
        assert name not in script
    assert 'setAttribute("style' not in script  # the policy blocks it


def test_surrogates_are_replaced_one_by_one():
    assert clean("a\ud83d\ude00\udc00b") == "a\ufffd\ufffd\ufffdb"  # lengths stay those of tokens
    assert clean("\U0001f600") == "\U0001f600"
    assert escape("\0<\"'&") == "\ufffd&lt;&quot;&#x27;&amp;"
    assert escape("a\u2029\u202e\u2067b אב") == "a \ufffd\ufffdb אב"


def test_json_cannot_end_its_block():
    value = {"<a": ["</script>", "<!--", "\u2028", "\0", 1.5, None, True]}
    assert "<" not in to_json(value) and json.loads(to_json(value)) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(float("nan"))  # browsers do not read it


@pytest.mark.parametrize("record", [None, make_record()], ids=["inspect", "evaluate"])
def test_page_without_and_with_statistics(record):
    page = Page(render_page(record, [make_prompt()], PICKS, title="one"))
    headings = [tag for tag, _ in page.elements if tag == "h2"]
    assert len(headings) == (1 if record is None else 5)
    assert ("table" in [tag for tag, _ in page.elements]) == (record is not None)
    assert ("html", {"lang": "en"}) in page.elements
    assert "browser single" in page.attributes("class")  # no list for one question
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert set(page.attributes("aria-labelledby")) <= set(ids)
    assert [name for name, _, _ in METHODS if name in page.blocks["questions"]["methods"]] == [
        "mean_logprob",
        "swift",
    ]


def test_labels_without_a_record_are_those_of_the_methods():
    page = Page(render_page(None, [make_prompt()], {**PICKS, "mine": [-1]}, title="one"))
    labels = page.blocks["questions"]["methods"]
    assert labels["swift"] == "SWIFT's pick" and labels["mine"] == "mine"


def test_no_prompt_at_all():
    page = Page(render_page(None, [], {}, title="none"))
    assert page.questions == []
    assert "0 questions" in page.text


def test_the_same_input_gives_the_same_page():
    pages = [render_page(make_record(), [make_prompt()], PICKS, title="t") for _ in range(2)]
    assert pages[0] == pages[1]


def test_every_style_and_script_of_the_folder_is_on_the_page():
    html = render_page(None, [], {}, title="t")
    for path in Path(assembly.__file__).parent.iterdir():
        if path.suffix in (".css", ".js"):
            assert path.read_text(encoding="utf-8") in html, path.name
