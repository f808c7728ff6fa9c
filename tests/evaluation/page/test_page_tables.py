"""Tables and reliability diagrams of the page hold the numbers of the record."""

import re

import pytest

from page_cases import METHODS, NAN, Page, make_prompt, make_record, words
from swift_bon.evaluation.page import render_page
from swift_bon.evaluation.page.formats import p_value, share, signed
from swift_bon.evaluation.page.labels import short
from swift_bon.evaluation.page.tables import curve_table, method_table


def cells(html: str) -> dict[str, list[str]]:
    """Label -> the texts of its row."""
    rows = re.findall(r"<tr.*?</tr>", html)
    split = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in rows]
    return {
        words(row[0]): [words(cell.replace("<small>", " ")) for cell in row[1:]] for row in split
    }


def test_table_of_all_methods():
    rows = cells(method_table(make_record()))
    assert list(rows)[1:] == [label for _, label, _ in METHODS]
    assert rows["way to pick"] == [
        "accuracy",
        "95% interval",
        "SWIFT's lead",
        "AUROC",
        "AUROC within a question",
    ]
    assert rows["SWIFT's pick"] == [".385", ".337 to .435", "–", ".881", ".861 .840 to .882"]
    assert rows["most likely sample (mean log-probability)"] == [
        ".295",
        ".247 to .345",
        "+.090 +.050 to +.133, p = .0002",
        ".745",
        ".700 .680 to .730",
    ]
    assert rows["oracle (any right one)"][2:] == ["–", "–", "–"]


def test_interval_bars_share_a_scale():
    html = method_table(make_record())
    ends = [float(end) for end in re.findall(r'whisker" d="M[\d.]+ 7H([\d.]+)"', html)]
    assert max(ends) == ends[-1] == 150.0  # of the oracle, the highest
    assert ends[0] == pytest.approx(150 * 0.186 / 0.66, abs=0.1)


def test_table_of_every_k():
    rows = cells(curve_table(make_record()))
    assert rows["candidates (k)"] == [str(k) for k in range(1, 9)]
    assert rows["SWIFT's pick"][0] == ".136 .096 to .176"
    assert rows["SWIFT's pick"][-1] == ".385 .345 to .425"
    assert len(rows) == 1 + len(METHODS)


@pytest.mark.parametrize("gone", [NAN, None])
def test_what_is_not_a_number_is_a_dash(gone):
    record = make_record(swift=gone, auroc={"swift": gone}, auroc_within={"swift": [gone] * 3})
    record["intervals"]["swift"] = [gone, gone]
    record["curves"]["swift"] = {"accuracy": [gone] * 8, "low": [gone] * 8, "high": [gone] * 8}
    record["differences"] = {name: [gone] * 3 for name in record["differences"]}
    record["p_values"] = dict.fromkeys(record["p_values"], gone)
    record["calibration"]["swift"] |= {"ece": gone, "brier": gone}
    html = render_page(record, [make_prompt()], {}, title="t")
    assert "nan" not in re.sub(r"<s(tyle|cript).*?</s\1>", "", html, flags=re.S).lower()
    assert cells(method_table(record))["SWIFT's pick"] == ["–", "", "–", "–", "–"]
    assert cells(curve_table(record))["SWIFT's pick"] == ["–"] * 8


@pytest.mark.parametrize(
    "keys",
    [
        ["candidates"],
        ["num_groups", "num_draws", "seed", "confidence", "num_fewer"],
        ["intervals", "differences", "p_values", "auroc", "auroc_within", "calibration"],
        ["ks", "curves"],
        ["swift", "oracle"],
        ["methods"],
    ],
    ids=lambda keys: keys[0],
)
def test_missing_keys_are_left_out(keys):
    record = make_record()
    for key in keys:
        del record[key]
    page = Page(render_page(record, [make_prompt()], {}, title="t"))
    assert "377 questions" in page.text and "None" not in page.text


def test_fewer_candidates_than_k_are_told():
    record = make_record(num_fewer=12)
    assert "12 questions have fewer than 8 candidates" in words(
        render_page(record, [], {}, title="t")
    )
    assert "170 groups of related questions" in words(render_page(record, [], {}, title="t"))


def test_calibration_draws_bins_that_hold_something():
    html = render_page(make_record(), [], {}, title="t")
    diagram = re.search(r'<figure class="c0">.*?</figure>', html)[0]
    assert diagram.count("<circle") == 2
    assert "ECE .051" in diagram and "Brier .102" in diagram
    radii = [float(radius) for radius in re.findall(r'r="([\d.]+)"', diagram)]
    assert radii == [9.0, pytest.approx(9 * (120 / 301) ** 0.5, abs=0.06)]  # by area


def test_formats():
    assert [share(value) for value in (0.385, 1.0, 0.0, NAN, None)] == [
        ".385",
        "1.000",
        ".000",
        "–",
        "–",
    ]
    assert [signed(value) for value in (0.09, -0.0121, -0.0001, -1.0)] == [
        "+.090",
        "−.012",
        "±.000",
        "−1.000",
    ]
    texts = [p_value(p).replace("\u00a0", " ") for p in (0.00005, 0.0002, 0.0123, 1.0, None)]
    assert texts == ["p &lt; .0001", "p = .0002", "p = .012", "p = 1.000", ""]
    assert short("most likely sample (mean log-probability)") == "most likely sample"
    assert short("x" * 40, 10) == "x" * 9 + "…"
