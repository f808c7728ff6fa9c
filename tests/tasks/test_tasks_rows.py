"""Local files: JSON lines and JSON lists, of any size, and what is wrong with one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.tasks import rows
from swift_bon.tasks.rows import field, read_rows, texts

ROWS = [{"a": 1}, {"a": "é\n[{,}]", "b": [1, {"c": "]"}]}, {}, {"a": "x" * 300}]
FORMS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "lines-ended": "".join(json.dumps(row) + "\n" for row in ROWS),
    "lines-apart": "\n\n".join(map(json.dumps, ROWS)) + "\n \n",
    "list": json.dumps(ROWS),
    "list-indented": "\n " + json.dumps(ROWS, indent=2) + "\n",
    "list-unicode": json.dumps(ROWS, ensure_ascii=False),
    "list-bom": "\ufeff" + json.dumps(ROWS),
}


def write(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_every_form_gives_the_rows(tmp_path, monkeypatch, form, chunk):
    monkeypatch.setattr(rows, "CHUNK_CHARACTERS", chunk)
    path = write(tmp_path, form)
    pairs = list(read_rows(path))
    assert [row for _, row in pairs] == ROWS
    assert [where for where, _ in pairs] == [f"row {number} of {path}" for number in range(4)]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3)), st.integers(1, 40), st.booleans())
def test_any_list_is_read_in_any_pieces(tmp_path_factory, members, chunk, indent):
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    path.write_text(json.dumps(members, indent=1 if indent else None), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "CHUNK_CHARACTERS", chunk)
        assert [row for _, row in read_rows(path)] == members


def test_rows_are_read_one_after_the_other(tmp_path):
    path = write(tmp_path, '[{"a": 1}, {"a": 2}, nonsense]')
    read = read_rows(path)
    assert next(read)[1] == {"a": 1} and next(read)[1] == {"a": 2}
    with pytest.raises(ValueError, match="row 2 of .* is not JSON"):
        next(read)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": ', "line 2 of .* is not JSON"),
        ('{"a": 1}\n5\n', "row 1 of .* is int, expected a JSON object"),
        ('[{"a": 1}, 5]', "row 1 of .* is int, expected a JSON object"),
        ('[{"a": 1}', "row 0 of .* is not JSON: expected , or ]"),
        ('[{"a": 1} {"a": 2}]', "row 0 of .* expected , or ] after it, got '{\"a\": 2}]'"),
        ('[{"a": 1}, ', "row 1 of .* is not JSON"),
        ("[", "row 0 of .* is not JSON"),
        ("[" * 100_000, "row 0 of .* is not JSON"),
        ('{"a":' * 100_000, "line 1 of .* is not JSON"),
        ('[{"a": 1}, {"a": "\\uD83d \\ude00"}]', "row 1 of .* cannot be read: .*surrogates"),
        ('{"a": 1}\n{"a": "\\udE00"}', "line 2 of .* is not JSON: .*surrogates"),
        (f'[{{"a": {"[" * 300}{"]" * 300}}}]', "row 0 of .* more than 200 deep"),
    ],
    ids=[
        "cut-line",
        "number-line",
        "number",
        "cut",
        "no-comma",
        "comma",
        "empty",
        "deep",
        "deep-line",
        "half-a-pair",
        "half-a-pair-line",
        "too-deep",
    ],
)
def test_what_is_no_file_of_rows(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list(read_rows(write(tmp_path, text)))


def test_a_comma_has_a_row_behind_it(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, ]')
    with pytest.raises(ValueError, match="row 1 of .* is not JSON"):
        list(read_rows(path))


@pytest.mark.parametrize("rest", ['[{"a": 2}]', '\n{"a": 2}', " " * 99 + "x"], ids=repr)
def test_a_list_is_the_whole_file(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(rows, "CHUNK_CHARACTERS", 4)
    with pytest.raises(ValueError, match="goes on after its JSON list, with .*; expected one list"):
        list(read_rows(write(tmp_path, '[{"a": 1}]' + rest)))


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*gone.json; give one of JSON"):
        list(read_rows(tmp_path / "gone.json"))
    path = tmp_path / "bytes.json"
    path.write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(ValueError, match="bytes.json is not UTF-8 text"):
        list(read_rows(path))
    assert list(read_rows(write(tmp_path, ""))) == []
    assert list(read_rows(write(tmp_path, "[ ]"))) == []


def test_fields():
    row = {"text": "a", "number": 1, "flag": True, "many": ["a", "b"]}
    assert field(row, "text", str, "row 0") == "a"
    assert field(row, "number", (str, int), "row 0") == 1
    assert texts(row, "many", "row 0") == ["a", "b"]
    with pytest.raises(ValueError, match="row 0 has no field 'gone', it has: text, number"):
        field(row, "gone", str, "row 0")
    with pytest.raises(ValueError, match="row 0: number is int, expected str"):
        field(row, "number", str, "row 0")
    with pytest.raises(ValueError, match="row 0: text is str, expected int or list"):
        field(row, "text", (int, list), "row 0")
    with pytest.raises(ValueError, match="row 0: flag is bool, expected int"):
        field(row, "flag", int, "row 0")
    for bad in ([], ["a", 1], [None]):
        with pytest.raises(ValueError, match="row 0: many is .*, expected a list of strings"):
            texts({"many": bad}, "many", "row 0")
