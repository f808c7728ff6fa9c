"""The curves of the page: all there, in their places, and readable in both schemes."""

import re
from importlib import resources

import pytest

from page_cases import METHODS, NAN, make_curve, make_record
from swift_bon.evaluation.page import render_page
from swift_bon.evaluation.page.emphasis import banded_of, colour_places, looks_of
from swift_bon.evaluation.page.frame import Frame, draw_curve, ticks
from swift_bon.evaluation.page.labels import spread


def curve_groups(html: str, kind: str) -> dict[str, str]:
    """Title of the group -> its class."""
    picture = re.search(rf'<svg class="curves {kind}".*?</svg>', html)[0]
    return dict(re.findall(r'<g class="curve ([^"]+)" data-method="\d+"><title>(.*?):', picture))


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_every_method_has_a_curve(kind):
    html = render_page(make_record(), [], {}, title="t")
    picture = re.search(rf'<svg class="curves {kind}".*?</svg>', html)[0]
    numbers = re.findall(r'<g class="curve ([^"]+)" data-method="(\d+)"', picture)
    assert {int(number) for _, number in numbers} == set(range(len(METHODS)))
    looks = [look.split()[0] for look, _ in numbers]
    assert looks[0] == "plain" and looks[-1] == "c0"  # SWIFT's lies on top, grey ones below
    assert [look for look, _ in numbers if "banded" in look] == ["c1 banded", "c0 banded"]
    width, height = re.search(r'viewBox="0 0 (\d+) (\d+)"', picture).groups()
    for x, y in re.findall(r'<text class="\w+[ \w]*" x="([\d.]+)" y="([\d.]+)"', picture):
        assert 0 <= float(x) < int(width) and 0 < float(y) < int(height)


def test_rows_and_curves_bear_the_same_numbers():
    html = render_page(make_record(), [], {}, title="t")
    titles = dict(re.findall(r'data-method="(\d+)"><title>(.*?): \.', html))
    rows = re.findall(r'<tr data-method="(\d+)"[^>]*><th scope="row">(.*?)</th>', html)
    assert len(rows) == 2 * len(METHODS)
    assert all(titles[number] == label for number, label in rows)


def test_looks_are_those_of_the_methods():
    looks = looks_of(make_record())
    assert looks["swift"] == "c0" and looks["entropy"] == "plain" and looks["oracle"] == "bound"
    assert colour_places(make_record())["Skywork-8B"] == 5
    assert banded_of(make_record()) == {"swift", "mean_logprob"}
    record = make_record()
    record["methods"].append({"name": "other", "label": "other", "family": "reward"})
    record["other"] = 0.5
    assert looks_of(record)["other"] == "c5" and looks_of(record)["Skywork-8B"] == "plain"
    record["other"] = NAN
    assert looks_of(record)["other"] == "plain" and looks_of(record)["Skywork-8B"] == "c5"
    record["other"], record["Skywork-8B"] = 0.5, NAN  # whichever comes first
    assert looks_of(record)["other"] == "c5" and looks_of(record)["Skywork-8B"] == "plain"


def test_labels_do_not_overlap():
    places = [5.0, 5.0, 6.0, 50.0, 99.0, 98.0]
    actual = spread(places, 10.0, 0.0, 100.0)
    ordered = sorted(actual)
    assert all(b - a >= 10.0 - 1e-9 for a, b in zip(ordered, ordered[1:], strict=False))
    assert min(actual) >= 0 and max(actual) <= 100 and actual[3] == 50.0
    assert actual[0] < actual[1] < actual[2] and actual[5] < actual[4]  # in their order
    assert spread([40.0, 60.0], 10.0, 0.0, 100.0) == [40.0, 60.0]
    assert spread([50.0, 50.0], 10.0, 0.0, 100.0) == [45.0, 55.0]
    assert spread([], 10.0, 0.0, 100.0) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.62, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]), (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0])],
)
def test_ticks_are_round_and_span_the_values(low, high, expected):
    assert ticks(low, high) == expected
    assert len(ticks(0.3, 0.3)) >= 2


def test_nan_leaves_a_gap_in_a_curve():
    frame = Frame(0, 100, 0, 100, [1, 2, 3, 4, 5], 0.0, 1.0)
    values = [0.5, NAN, 0.5, 0.6, None]
    html = draw_curve({"accuracy": values, "low": values, "high": values}, frame)
    assert 'class="line" d="M0.0 50.0M50.0 50.0L75.0 40.0"' in html
    assert 'class="band" d="M0.0 50.0L0.0 50.0ZM50.0 50.0L75.0 40.0L75.0 40.0L50.0 50.0Z"' in html
    assert '<circle class="dot" cx="75.0" cy="40.0"' in html
    assert draw_curve({"accuracy": [NAN] * 5}, frame) == ""
    half = [0.5, 0.5, NAN, 0.5, 0.5]
    html = draw_curve({"accuracy": [0.5] * 5, "low": [0.5] * 5, "high": half}, frame)
    assert html.count("Z") == 2


def test_many_candidates_stand_on_a_log_scale():
    frame = Frame(0, 60, 0, 100, [1, 2, 4, 8, 16, 32, 64], 0.0, 1.0)
    assert [frame.x(k) for k in frame.ks] == pytest.approx([0, 10, 20, 30, 40, 50, 60])
    assert Frame(0, 60, 0, 100, [3], 0.0, 1.0).x(3) == 30


def test_a_single_k_is_a_point():
    record = make_record(ks=[1], curves={"swift": make_curve(0.3, [1])})
    html = render_page(record, [], {}, title="t")
    assert curve_groups(html, "wide") == {"c0 banded": "SWIFT&#x27;s pick"}


def colours(scheme: str) -> dict[str, tuple[float, ...]]:
    """Name -> red, green, blue of a custom property of the style, in one of the two schemes."""
    style = resources.files("swift_bon.evaluation.page").joinpath("page.css").read_text()
    block = style.split("prefers-color-scheme: dark")[scheme == "dark"].split("}")[0]
    actual = {
        name: tuple(int(digits[at : at + 2], 16) for at in (0, 2, 4))
        for name, digits in re.findall(r"--(\w+): #(\w{6});", block)
    }
    triples = re.findall(r"--(\w+): (\d+) (\d+) (\d+);", block)
    actual |= {name: tuple(map(int, triple)) for name, *triple in triples}
    return actual | {"most": (float(re.search(r"--most: ([\d.]+)", block)[1]),)}


def contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Of WCAG 2."""

    def luminance(colour):
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_on_every_level(scheme):
    names = colours(scheme)
    most = names["most"][0]
    for hue in ("above", "below", "open"):
        for level in range(64):
            alpha = most * level / 63
            mixed = [
                alpha * h + (1 - alpha) * c for h, c in zip(names[hue], names["card"], strict=True)
            ]
            assert contrast(names["ink"], tuple(mixed)) >= 4.5
    for text in ("ink", "muted", "accent", "good", "bad"):
        for ground in ("paper", "card", "soft"):
            assert contrast(names[text], names[ground]) >= 4.5, (text, ground)
