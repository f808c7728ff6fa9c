"""What else a chat template reads, which of several it is, and what it says where it cannot."""

import pytest

from prompt_cases import text_of, turn
from swift_bon.models.prompts import render_prompts
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

CHATS = [[turn("Why?")]]
THINKING = CHAT_TEMPLATE + "{% if enable_thinking %}think{% else %}say{% endif %}"
TOOLS = "{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}" + CHAT_TEMPLATE
PAPERS = "{% for paper in documents or [] %}{{ paper.text }} {% endfor %}" + CHAT_TEMPLATE
TOOL = {"type": "function", "function": {"name": "add", "description": "", "parameters": {}}}
ENDING = "<user>Why?</s><assistant>"
NAMED = {"default": CHAT_TEMPLATE, "tool_use": TOOLS, "brief": "{{ messages[0].content }}"}
LISTED = [{"name": name, "template": template} for name, template in NAMED.items()]


def rendered(template, arguments=None) -> str:
    tokenizer = tiny_tokenizer(CHAT_TEMPLATE)
    tokenizer.chat_template = template
    (ids,) = render_prompts(tokenizer, CHATS, arguments)
    return text_of(tokenizer, ids)


@pytest.mark.parametrize(
    ("template", "arguments", "expected"),
    [
        (THINKING, None, f"{ENDING}say"),
        (THINKING, {}, f"{ENDING}say"),
        (THINKING, {"enable_thinking": True}, f"{ENDING}think"),
        (THINKING, {"enable_thinking": False}, f"{ENDING}say"),
        (TOOLS, {"tools": [TOOL, TOOL]}, f"add add {ENDING}"),
        (PAPERS, {"documents": [{"title": "t", "text": "so"}]}, f"so {ENDING}"),
        (CHAT_TEMPLATE, {"unknown": 7}, ENDING),
        (CHAT_TEMPLATE, {"chat_template": "{{ messages[0].content }}."}, "Why?."),
        (None, {"chat_template": "{{ messages[0].content }}."}, "Why?."),
    ],
)
def test_arguments_reach_the_template(template, arguments, expected):
    assert rendered(template, arguments) == expected


@pytest.mark.parametrize("templates", [NAMED, LISTED], ids=["dict", "list"])
def test_one_of_several_templates(templates):
    assert rendered(templates) == ENDING
    assert rendered(templates, {"tools": [TOOL]}) == f"add {ENDING}"
    assert rendered(templates, {"chat_template": "brief"}) == "Why?"
    assert rendered(templates, {"chat_template": "{{ messages[0].role }}"}) == "user"


@pytest.mark.parametrize("make", [dict, list], ids=["dict", "list"])
def test_several_templates_without_a_default(make):
    named = {"tool_use": TOOLS, "brief": "{{ messages[0].content }}"}
    templates = named if make is dict else [one for one in LISTED if one["name"] in named]
    assert rendered(templates, {"chat_template": "brief"}) == "Why?"
    with pytest.raises(ValueError, match="chat templates brief, tool_use and no default; name one"):
        rendered(templates)


@pytest.mark.parametrize(
    "name",
    ["tokenize", "add_generation_prompt", "continue_final_message", "return_tensors", "padding"],
)
def test_what_is_set_here_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"^chat_template_kwargs has '{name}', which is set here"):
        rendered(CHAT_TEMPLATE, {name: True})


@pytest.mark.parametrize("arguments", ["{}", [("a", 1)], {1: 2}], ids=repr)
def test_what_are_no_arguments(arguments):
    with pytest.raises(TypeError, match="^chat_template_kwargs is .*expected names and values"):
        rendered(CHAT_TEMPLATE, arguments)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no system role here') }}", "no system role here"),
        ("{{ messages[0].content.missing.deeper }}", "has no attribute 'missing'"),
        ("{{ messages[0].content + 3 }}", "concatenate str"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages[0].content | nothing }}", "nothing"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_an_error_of_the_template_names_the_prompt(template, message):
    only_second = "{% if messages[0].content == 'b' %}" + template + "{% endif %}a"
    chats = [[turn("a")], [turn("b")]]
    tokenizer = tiny_tokenizer(only_second)
    expected = rf"^prompts\[[01]\] cannot be rendered by the chat template: .*{message}"
    with pytest.raises(ValueError, match=expected) as raised:
        render_prompts(tokenizer, chats)
    assert raised.value.__cause__ is not None
    with pytest.raises(ValueError, match="^the question a/1 cannot be rendered"):
        render_prompts(tokenizer, chats[1:], names=["the question a/1"])
