"""Labels of pictures: whole, in as many lines as they need, and not on each other."""

import re

import pytest

from page_cases import Page, make_record
from swift_bon.evaluation.accuracy_plot import draw_accuracy
from swift_bon.evaluation.page import render_page
from swift_bon.evaluation.page.labels import spread, width_in_ems, wrapped

LONG = "SWIFT + an-organisation/Its-Reward-Model-V2-Llama-3.1-8B-of-2025, by scaling"
WIDE = "最高的奖励模型的名字写得很长很长很长很长"


def record_with(label: str) -> dict:
    """All methods are named so."""
    record = make_record()
    record["methods"] = [{**method, "label": label} for method in record["methods"]]
    return record


@pytest.mark.parametrize("text", [LONG, WIDE, "W" * 90, "one word", "", "a b " * 20])
def test_lines_hold_the_whole_text_and_are_no_longer_than_asked(text):
    lines = wrapped(text, 20.5)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(width_in_ems, lines)) <= 20.5
    assert len(lines) == 1 or min(map(len, lines)) > 0


def test_lines_end_after_words():
    assert wrapped("most likely sample of all", 12) == ["most likely sample", "of all"]
    assert wrapped(LONG, 20.5)[0] == "SWIFT + an-organisation/Its-"


def test_higher_labels_take_more_room():
    spots = spread([50.0, 50.0, 50.0], [10.0, 30.0, 10.0], 0.0, 100.0)
    assert spots == [30.0, 50.0, 70.0]
    assert spread([0.0, 100.0], [10.0, 30.0], 0.0, 100.0) == [0.0, 90.0]


@pytest.mark.parametrize("label", [LONG, WIDE, LONG + " " + LONG])
def test_the_page_holds_each_label_whole_beside_its_curve_and_below(label):
    page = render_page(record_with(label), [], {}, title="t")
    shown = re.findall(r'<text class="name".*?</text>', page)
    shown += re.findall(r"<li class=.*?</li>", page[page.index('class="key"') :])
    assert len(shown) == 9 + 8  # all curves, and those that stand out
    for html in shown:
        text = "".join("".join(Page(html).texts).split())
        assert re.fullmatch(r"\.\d{3}" + re.escape("".join(label[:119].split())) + ".*", text)
        assert "…" not in html or len(label) > 120


@pytest.mark.parametrize("label", [LONG, WIDE, LONG + " " + LONG])
@pytest.mark.filterwarnings("ignore:Glyph")  # the font of the picture has no Chinese
def test_the_picture_holds_each_label_whole(label):
    figure = draw_accuracy(record_with(label))
    figure.canvas.draw()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
    assert len(boxes) == 8
    assert all("".join(label[:119].split()) in "".join(t.get_text().split()) for t in texts)
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert boxes[0].y0 >= 0 and boxes[-1].y1 <= figure.bbox.y1
    for below, above in zip(boxes, boxes[1:], strict=False):
        assert above.y0 >= below.y1 - 1


def test_a_long_title_of_the_picture_takes_two_lines():
    record = make_record(candidates={"model": "an-organisation/" + "a-model-" * 12, "task": "sums"})
    figure = draw_accuracy(record)
    figure.canvas.draw()
    title, subtitle = figure.texts[:2]
    assert "\n" in title.get_text()
    assert title.get_window_extent().x1 <= figure.bbox.x1
    assert subtitle.get_window_extent().y1 <= title.get_window_extent().y0
    assert figure.axes[0].get_window_extent().y1 <= subtitle.get_window_extent().y0
