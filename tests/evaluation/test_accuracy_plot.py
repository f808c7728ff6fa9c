"""The picture of accuracy over k shows each method of the record, and the main ones plainly."""

import sys

import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from page_cases import HOSTILE, METHODS, NAN, make_curve, make_record
from swift_bon.evaluation.accuracy_plot import draw_accuracy, plot_accuracy
from swift_bon.plotting import GREY, PALETTE


def curves(figure) -> dict:
    return {
        line.get_label(): line
        for line in figure.axes[0].lines
        if not line.get_label().startswith("_child")
    }


def labels(figure) -> list:
    return [text for text in figure.axes[0].texts if text.get_text()]


def test_every_method_is_drawn():
    record = make_record()
    drawn = curves(draw_accuracy(record))
    assert list(drawn) == [name for name, _, _ in METHODS]
    for name, line in drawn.items():
        assert list(line.get_xdata()) == record["ks"]
        assert list(line.get_ydata()) == record["curves"][name]["accuracy"]


def test_main_methods_stand_out():
    drawn = curves(draw_accuracy(make_record()))
    assert to_hex(drawn["swift"].get_color()) == PALETTE[0].lower()
    assert to_hex(drawn["Skywork-8B"].get_color()) == PALETTE[5].lower()
    assert drawn["entropy"].get_color() == GREY
    assert drawn["random"].is_dashed() and drawn["oracle"].is_dashed()
    assert not drawn["swift"].is_dashed() and not drawn["entropy"].is_dashed()
    widths = [drawn[name].get_linewidth() for name in ("swift", "mean_logprob", "entropy")]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3
    assert drawn["swift"].get_zorder() == max(line.get_zorder() for line in drawn.values())


def test_bands_are_intervals():
    record = make_record()
    bands = draw_accuracy(record).axes[0].collections
    actual = {to_hex(band.get_facecolor()[0][:3]): band for band in bands}
    assert set(actual) == {PALETTE[0].lower(), PALETTE[1].lower()}
    heights = actual[PALETTE[0].lower()].get_paths()[0].vertices[:, 1]
    curve = record["curves"]["swift"]
    assert heights.max() == pytest.approx(max(curve["high"]))
    assert set(curve["low"]) <= set(heights.tolist())


def test_labels_lie_beside_the_ends_and_not_on_each_other():
    record = make_record()
    for name, level in zip(("swift", "swift_vote", "Skywork-8B"), (0.4, 0.4, 0.401), strict=True):
        record["curves"][name] = make_curve(level, record["ks"])
    figure = draw_accuracy(record)
    figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in labels(figure)), key=lambda box: box.y0)
    assert len(boxes) == 8  # all but the grey one
    for below, above in zip(boxes, boxes[1:], strict=False):
        assert above.y0 >= below.y1 - 1
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert any(text.get_text() == ".400  SWIFT's pick" for text in labels(figure))


def test_titles_tell_what_was_measured():
    texts = [text.get_text() for text in draw_accuracy(make_record()).texts]
    assert texts[0] == "tiny/llama on basics: best of 8, 377 questions"
    assert "95% intervals" in texts[1] and "grey: 1 other" in texts[1]
    texts = [text.get_text() for text in draw_accuracy(make_record(candidates=None)).texts]
    assert texts[0] == "best of 8, 377 questions"


def test_png_is_whole_and_shows_its_data(tmp_path):
    path = tmp_path / "new folder" / "accuracy.png"
    plot_accuracy(make_record(), path)
    first = path.read_bytes()
    image = imread(path)
    assert first.startswith(b"\x89PNG\r\n\x1a\n") and image.shape[1] > 1400
    plot_accuracy(make_record(), path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["accuracy.png"]


@pytest.mark.parametrize("gone", [NAN, None])
@pytest.mark.parametrize("share", ["all", "some"])
def test_nan_breaks_nothing(tmp_path, gone, share):
    record = make_record()
    for curve in record["curves"].values():
        for row in curve.values():
            row[:] = [gone] * len(row) if share == "all" else [*row[:-1], gone]
    plot_accuracy(record, tmp_path / "accuracy.png")
    texts = [text.get_text() for text in labels(draw_accuracy(record))]
    assert len(texts) == (0 if share == "all" else 8)


@pytest.mark.parametrize("ks", [[4], [1, 2, 4, 8, 16, 32, 64], list(range(1, 65))])
def test_any_numbers_of_candidates(tmp_path, ks):
    record = make_record(ks=ks, curves={"swift": make_curve(0.4, ks)})
    figure = draw_accuracy(record)
    plot_accuracy(record, tmp_path / "accuracy.png")
    assert list(curves(figure)["swift"].get_xdata()) == ks
    assert figure.axes[0].get_xscale() == ("log" if len(ks) > 1 else "linear")
    assert curves(figure)["swift"].get_marker() == ("." if len(ks) == 1 else "")


@pytest.mark.parametrize("text", [*HOSTILE.values(), "$x^$", "_hidden"])
def test_any_text_is_drawn_as_it_is(tmp_path, text, recwarn):
    record = make_record(candidates={"model": text, "task": text})
    record["methods"] = [{**method, "label": text} for method in record["methods"]]
    plot_accuracy(record, tmp_path / "accuracy.png")


def test_a_record_without_curves_is_refused():
    with pytest.raises(ValueError, match="record has no curves"):
        draw_accuracy(make_record(curves={}))


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    for name in [*filter(lambda name: name.startswith("matplotlib"), sys.modules)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        draw_accuracy(make_record())
