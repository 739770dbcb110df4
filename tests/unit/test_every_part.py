"""Every part of a text knows the same of its variables: own texts, preheaders, JSON bodies."""

from typing import Any

import pytest

from tasks.errors import Problem
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.frames import encode
from tasks.rendering.limits import Limits
from tasks.rendering.texts import Sources, Text, declaring, text_of
from tasks.rendering.trials.trial import inferred, try_out
from tasks.rendering.variables import Schema
from tests.support.cases import each

ENGINE = Engine(Limits())
TOTAL = {"name": "total", "type": "decimal"}
NAME = {"name": "user.name", "type": "string", "required": False}
ITEMS = (
    {"name": "items[].count", "type": "integer"},
    {"name": "items[].sku", "type": "string", "required": False},
)
IN_LOOP = (
    "[{% for i in items %}"
    '{"count": {{ i.count }}{% if i.sku is defined %}, "sku": "{{ i.sku }}"{% endif %}}'
    "{% if not loop.last %},{% endif %}{% endfor %}]"
)


def email(source: str, language: str = "en") -> Text:
    """Return an e-mail whose text part and preheader are of one source."""
    return text_of("email", language, Sources("s", "<p>b</p>", source, source), {})


def document(source: str, language: str = "en") -> Text:
    """Return a text of type json."""
    return text_of("json", language, Sources(None, source), {})


def rendered(text: Text, *declared: dict[str, Any], **values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Return the parts of a text, rendered as the worker has it done."""
    schema = Schema(declared)
    bound, problems = schema.bind(values)
    assert not problems
    ready = ENGINE.prepare(declaring(text, schema))
    return ENGINE.render(ready, ENGINE.values(ready, encode(bound.values)))


def tried(text: Text, *declared: dict[str, Any]) -> list[Problem]:
    """Return the problems of the trial renders of a publish."""
    return try_out(ENGINE, text, declared, lambda: None)


def test_own_texts_and_preheaders_have_decimals_and_optional_members() -> None:
    """As subjects and bodies have them."""
    text = email(
        '{{ total }} {{ "free" if total > 50 else "paid" }} {{ user.name | default("?") }}'
    )
    assert tried(text, TOTAL, NAME) == []
    parts = rendered(text, TOTAL, NAME, total="120.50")
    assert (parts["text"], parts["preheader"]) == ("120.50 free ?", "120.50 free ?")


def test_comparisons_of_a_text_with_a_number_are_found_in_every_part() -> None:
    """With the path of the part."""
    problems = tried(email('{% if total > "x" %}a{% endif %}'), TOTAL)
    assert [(problem["path"], problem["type"]) for problem in problems] == [
        ("text", "invalid_operation"),
        ("preheader", "invalid_operation"),
    ]
    (problem,) = tried(document('{"a": {% if total > "x" %}1{% else %}2{% endif %}}'), TOTAL)
    assert (problem["path"], problem["column"]) == ("body", 13)


def test_variables_are_inferred_from_every_part() -> None:
    """Which are optional, and the members of items."""
    source = '{{ a | default("") }}{% for i in l %}{{ i.s }}{% endfor %}'
    assert inferred(ENGINE, [email(source)], ["a", "l"], lambda: None) == (["a"], ["l[].s"])


def test_a_variable_that_another_part_needs_is_not_optional() -> None:
    """One guarded use is not enough."""
    text = text_of("email", "en", Sources("s", '{{ a | default("") }}', "{{ a }}"), {})
    assert inferred(ENGINE, [text], ["a"], lambda: None).optional == []


def test_json_documents_have_exact_numbers() -> None:
    """A decimal is sent as it was given, and compared as a number."""
    source = '{"a": {{ total }}, "b": "{{ total }}", "c": {{ total > 50 }}, "d": {{ n }}}'
    values: dict[str, Any] = {"total": "120.50", "n": 2**70}
    integer = {"name": "n", "type": "integer"}
    assert tried(document(source), TOTAL, integer) == []
    assert rendered(document(source), TOTAL, integer, **values)["document"] == {
        "a": "120.50",
        "b": "120.50",
        "c": True,
        "d": 2**70,
    }


@each(
    ("source", "expected"),
    [
        ('{"a": {{ user.name | default("?") }}}', {"a": "?"}),
        ('{"a": "{{ user.name | default("?") }}"}', {"a": "?"}),
        ('{"a": 1{% if user.name is defined %}, "b": "{{ user.name }}"{% endif %}}', {"a": 1}),
    ],
)
def test_json_documents_have_optional_members(source: str, expected: dict[str, Any]) -> None:
    """Guarded, they may be left out."""
    assert tried(document(source), NAME) == []
    assert rendered(document(source), NAME)["document"] == expected


@each(
    "source", ['{"a": {{ user.name }}}', '{"a": "{{ user.name }}"}', '{"a": {{ user | tojson }}}']
)
def test_a_missing_value_in_a_json_document_is_found_by_the_trial(source: str) -> None:
    """Null would be something else."""
    (problem,) = tried(document(source), NAME)
    assert problem["type"] == "undefined"
    with pytest.raises(SourceError):
        rendered(document(source), NAME)


def test_a_member_that_is_left_out_is_not_in_the_json_of_its_object() -> None:
    """Inside a string or not, in HTML too."""
    source = '{"a": {{ user | tojson }}, "b": "{{ user | tojson }}", "c": {{ user }}}'
    parts = rendered(document(source), NAME, user={"age": 3})
    assert parts["document"] == {"a": {"age": 3}, "b": '{"age": 3}', "c": {"age": 3}}
    page = text_of("in_app", "en", Sources(None, "{{ user | tojson }}"), {})
    assert rendered(page, NAME, user={})["body"] == "{}"


def test_members_of_items_have_shapes_too() -> None:
    """None, one and two items; with optional members and without."""
    assert tried(document(IN_LOOP), *ITEMS) == []
    values = {"items": [{"count": 1}, {"count": 2, "sku": '"'}]}
    assert rendered(document(IN_LOOP), *ITEMS, **values)["document"] == values["items"]


@each(
    ("old", "new"),
    [
        ("{% if not loop.last %},{% endif %}", ","),
        ("{% if not loop.last %},{% endif %}", ""),
        (', "sku"', ' "sku"'),
        ("{{ i.count }}{% if", "{{ i.count }},{% if"),
    ],
)
def test_a_comma_too_many_or_few_between_members_of_items_is_found(old: str, new: str) -> None:
    """Though the array itself is not declared."""
    assert tried(document(IN_LOOP.replace(old, new)), *ITEMS)


def test_markdown_is_found_at_every_path() -> None:
    """Members of items, and names in brackets."""
    names = ("note", "items[].note", 'user["first-name"]')
    declared = [{"name": name, "type": "markdown"} for name in names]
    source = '{{ note }}{% for i in items %}{{ i.note }}{% endfor %}{{ user["first-name"] }}'
    text = text_of("email", "en", Sources(source, f"<p>{source}</p>"), {})
    parts = rendered(
        text, *declared, note="**a**", items=[{"note": "*b*"}], user={"first-name": "`c`"}
    )
    assert parts["body"] == "<p><strong>a</strong><em>b</em><code>c</code></p>"
    assert parts["subject"] == parts["text"] == "abc"


def test_a_placeholder_of_an_inlined_style_is_validated_as_in_the_style_sheet() -> None:
    """Inlining takes the placeholder along."""
    from tasks.rendering.inline_css import inlined  # noqa: PLC0415 - as in the render process

    source = inlined('<style>.a{color:{{ c }}}</style><p class="a">x</p>', "body")
    text = text_of("email", "en", Sources(None, source), {})
    assert '<p style="color: red;" class="a">' in rendered(text, c="red")["body"]
    with pytest.raises(SourceError):
        rendered(text, c="red;position:fixed")


def test_values_are_isolated_in_right_to_left_texts_and_preheaders() -> None:
    """Without the controls that they have themselves, which could end or begin others."""
    parts = rendered(email("\u2067{{ x }}\u2069", "ar"), x="Ada\u2069")
    assert parts["preheader"] == "\u2067\u2068Ada\u2069\u2069"
    assert parts["text"] == "\u2067\u2068Ada\u2069\u2069"


def test_values_in_json_documents_are_what_was_sent() -> None:
    """Programs read them, whatever the language; the render's own names are there too."""
    source = '{"x": {{ x }}, "y": "{{ x }}", "language": "{{ language }}", "dir": {{ dir }}}'
    expected = {"x": "Ada", "y": "Ada", "language": "ar", "dir": "rtl"}
    assert tried(document(source, "ar"), {"name": "x", "type": "string"}) == []
    assert rendered(document(source, "ar"), x="Ada")["document"] == expected


def test_markdown_and_decimals_stand_in_right_to_left_pages() -> None:
    """Markup is not cut by isolates; a negative number keeps its sign."""
    note = {"name": "note", "type": "markdown"}
    text = text_of("email", "ar", Sources(None, "<p>{{ note }} {{ total }}</p>"), {})
    parts = rendered(text, note, TOTAL, note="**a**", total="-1.50")
    assert parts["body"] == "<p><strong>a</strong> \u2068-1.50\u2069</p>"


def test_exact_numbers_and_texts_are_sorted_in_every_language() -> None:
    """Decimals as numbers, texts in the order of the language."""
    numbers = {"name": "n", "type": "integer"}
    text = document("{{ x | sort }}", "de")
    assert rendered(text, x=[2**70, 9, 10])["document"] == [9, 10, 2**70]
    assert rendered(text, x=["Zebra", "\u00c4pfel"])["document"] == ["\u00c4pfel", "Zebra"]
    assert rendered(document("{{ n }}", "tr"), numbers, n=2**70)["document"] == 2**70


@each("kind", ["object", "array", "boolean"])
def test_what_has_no_text_is_printed_in_json_only(kind: str) -> None:
    """In a text part or a preheader the publish is refused, with the path of the part."""
    declared = {"name": "x", "type": kind}
    assert [problem["path"] for problem in tried(email("{{ x }}"), declared)] == [
        "text",
        "preheader",
    ]
    assert tried(document("{{ x }}"), declared) == []
    value: Any = {"object": {"a": True}, "array": [None, "None", {}], "boolean": True}[kind]
    assert rendered(document("{{ x }}"), declared, x=value)["document"] == value


def test_a_missing_member_of_an_item_in_a_json_document_has_its_path() -> None:
    """With its index; an empty object next to it is JSON."""
    with pytest.raises(SourceError) as caught:
        rendered(document("[{% for i in items %}{{ i.a }},{% endfor %} {{ o }}]"), items=[{}], o={})
    assert (caught.value.problem["path"], caught.value.problem["type"]) == (
        "variables.items[0].a",
        "undefined",
    )


def test_an_exact_number_in_a_printed_list_is_its_digits() -> None:
    """Never the address of an object."""
    text = text_of("sms", "en", Sources(None, "{{ x | pprint }} {{ [x[0]] | tojson }}"), {})
    assert rendered(text, x=[2**70])["body"] == f"[{2**70}] [{2**70}]"
