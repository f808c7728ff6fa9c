"""From chats to token ids: started answers, contents in parts, tokenizers without a template."""

import pytest

from best_of_cases import Recorder, run
from prompt_cases import BOTH_TEMPLATE, PARTS_TEMPLATE, OwnWay, own_way, text_of, turn
from swift_bon.models.prompts import check_prompts, render_prompts
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

WORDS = [{"type": "text", "text": "Name"}, {"type": "text", "text": " it"}]
ASSISTANT = "assistant"


def rendered(prompts, template=CHAT_TEMPLATE, **options) -> list[str]:
    tokenizer = tiny_tokenizer(template)
    ids = render_prompts(tokenizer, check_prompts(prompts), **options)
    return [text_of(tokenizer, row) for row in ids]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("So it is", "<user>Why?</s><assistant>So it is"),
        ("So: ", "<user>Why?</s><assistant>So: "),
        ("", "<user>Why?</s><assistant>"),
        (WORDS, "<user>Why?</s><assistant>Name it"),
    ],
    ids=["words", "space", "empty", "parts"],
)
@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PARTS_TEMPLATE], ids=["strings", "parts"])
def test_a_started_answer_is_continued(answer, expected, template):
    assert rendered([turn("Why?"), turn(answer, ASSISTANT)], template) == [expected]


def test_chats_that_end_otherwise_are_as_they_were():
    chats = [[turn("a", "system")], [turn("a"), turn("b", ASSISTANT), turn("c")]]
    tokenizer = tiny_tokenizer()
    for chat, ids in zip(chats, render_prompts(tokenizer, chats), strict=True):
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert text.endswith("</s><assistant>")


def test_what_the_prompt_has_of_special_tokens_stays():
    (text,) = rendered("<s>a<s>", "<s>" + CHAT_TEMPLATE)
    assert text == "<s><user><s>a<s></s><assistant>"


@pytest.mark.parametrize(
    "template",
    [
        "{% for message in messages %}{{ message.content.strip()[:1] }}{% endfor %}",
        "{% for message in messages %}{{ message.role }}{% endfor %}",
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
    ],
    ids=["cut", "no_content", "dropped"],
)
def test_an_answer_that_cannot_be_continued_is_refused(template):
    prompts = ["Why?", [turn("Why?"), turn("So it is", ASSISTANT)]]
    with pytest.raises(
        ValueError, match=r"^prompts\[1\] ends with a message of the assistant, which cannot be"
    ) as raised:
        rendered(prompts, template)
    assert raised.value.__cause__ is not None


def test_a_call_of_a_tool_cannot_be_continued():
    call = {"role": ASSISTANT, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    template = CHAT_TEMPLATE.replace("{{ message.content }}", "{{ message.content or 'f' }}")
    after = [turn("Why?"), call, turn("no", "assistant"), turn("So?")]
    assert rendered([after], template)[0].endswith("</s><assistant>")
    with pytest.raises(ValueError, match=r"prompts\[0\] ends with a message of the assistant"):
        rendered([[turn("Why?"), call]], template)


@pytest.mark.parametrize(
    ("content", "template", "expected"),
    [
        (WORDS, CHAT_TEMPLATE, "Name it"),
        (WORDS, CHAT_TEMPLATE.replace("message.content", "message.content | trim"), "Name it"),
        (WORDS, CHAT_TEMPLATE.replace("message.content", "message.content | tojson"), '"Name it"'),
        (WORDS, CHAT_TEMPLATE.replace("message.content", "message.content + ''"), "Name it"),
        (WORDS, PARTS_TEMPLATE, "Name it"),
        (WORDS, BOTH_TEMPLATE, "Name, it,"),
        ([{"text": "Name"}], PARTS_TEMPLATE, "Name"),
        ("Name", PARTS_TEMPLATE, "Name"),
        ("Name", BOTH_TEMPLATE, "Name"),
    ],
    ids=["printed", "trim", "json", "added", "parts", "both", "untyped", "string", "as_it_is"],
)
def test_every_form_of_a_text_is_written_as_text(content, template, expected):
    chat = [turn("Be", "system"), turn(content)]
    tokenizer = tiny_tokenizer()
    plain = f"<user>{expected}</s><assistant>"
    (text,) = rendered([chat], template)
    assert (
        tokenizer(text)["input_ids"][-len(tokenizer(plain)["input_ids"]) :]
        == (tokenizer(plain)["input_ids"])
    )
    assert "Be" in text
    assert "type" not in text


@pytest.mark.parametrize("make", [OwnWay, own_way], ids=["no_attribute", "attribute_is_none"])
def test_a_tokenizer_that_renders_by_itself(make):
    tokenizer = make()
    chats = [[turn("Why?")], [turn("Why?"), turn("So", ASSISTANT)]]
    arguments = {"reasoning_effort": "none"}
    texts = [text_of(tokenizer, ids) for ids in render_prompts(tokenizer, chats)]
    assert texts == ["u:Why?,a:", "u:Why?,a:So"]
    (ids,) = render_prompts(tokenizer, chats[:1], arguments)
    assert text_of(tokenizer, ids) == "u:Why?,a:none"


@pytest.mark.parametrize("make", [OwnWay, own_way], ids=["no_attribute", "attribute_is_none"])
def test_candidates_with_a_tokenizer_that_renders_by_itself(make):
    seen = Recorder()
    run(prompts="Why?", tokenizer=make(), logits_processor=[seen])
    assert text_of(tiny_tokenizer(), seen.seen[0][0].tolist()) == "u:Why?,a:"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image"},
        {"type": "image", "url": "cat.png"},
        {"type": "image_url", "image_url": {"url": "cat.png"}},
        {"type": "audio", "audio": "a.wav", "text": "a sound"},
        {"type": "video"},
    ],
    ids=lambda part: part["type"],
)
@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PARTS_TEMPLATE], ids=["strings", "parts"])
def test_a_part_that_is_no_text_is_refused_by_name(part, template):
    chat = [turn("Be", "system"), turn([WORDS[0], part])]
    message = rf"^prompts\[2\], message 1, part 1 is of type '{part['type']}', which the model"
    with pytest.raises(ValueError, match=message):
        rendered(["a", "b", chat], template)


@pytest.mark.parametrize(
    "content",
    [["Name"], [{"type": "text"}], [{"type": "text", "text": 7}], [{"size": 3}]],
    ids=repr,
)
def test_a_part_that_is_none_is_refused_by_name(content):
    with pytest.raises(TypeError, match=r"^prompts\[0\], message 0, part 0 is .*'type': 'text'"):
        check_prompts([[turn(content)]])


@pytest.mark.parametrize("key", ["images", "image", "videos", "audio", "audios"])
@pytest.mark.parametrize("content", ["Name it", WORDS], ids=["string", "parts"])
def test_what_stands_beside_the_content_is_refused_by_name(key, content):
    reads_all = "{% for m in messages %}{{ m.images }}{% endfor %}" + CHAT_TEMPLATE
    chat = [turn("Be", "system"), {**turn(content), key: ["cat.png"]}]
    message = rf"^prompts\[1\], message 1 has '{key}' beside its content, which the model would not"
    for template in (CHAT_TEMPLATE, PARTS_TEMPLATE, reads_all):
        with pytest.raises(ValueError, match=message):
            rendered(["a", chat], template)


@pytest.mark.parametrize("value", [None, [], ""], ids=repr)
def test_nothing_beside_the_content_is_nothing(value):
    assert rendered([[{**turn("Why?"), "images": value}]]) == rendered(["Why?"])
