"""JSON bodies: documents for every value, encoded by position, and proved at the publish."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.trials.trial import try_out
from tests.support.cases import each
from tests.support.sources import given, source_of

QUICK = settings(max_examples=150, deadline=None)
ENGINE = Engine(Limits())
HOSTILE = 'q"\\\n\u2028</x>\x02\x03\x7fé😀{{ 1 }}'

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def rendered(source: str, partials: dict[str, str] | None = None, /, **values: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the document of a JSON body, which its text says too."""
    text = source_of(source, "json", partials=partials)
    parts = ENGINE.render(ENGINE.prepare(text), given(values))
    assert json.loads(parts["body"]) == parts["document"]
    return parts["document"]


def refused(source: str, /, **values: Any) -> SourceError:  # noqa: ANN401 - any JSON value
    """Return the error of a body that gives no document."""
    with pytest.raises(SourceError) as caught:
        rendered(source, **values)
    return caught.value


@each(
    "partial",
    [
        *("<p>Bye</p>", "<hr>", "a<br/>b", "<b>{{ x }}</b>", "Tea &amp; cake", "&#8364;5"),
        *('<a href="{{ x }}">here</a>', "<!-- footer -->", '{% include "inner" %}'),
    ],
)
def test_a_partial_of_html_is_refused(partial: str) -> None:
    """Its readers are programs and chats: they would show the tags."""
    partials = {"p": partial, "inner": "<p>x</p>"}
    text = source_of('{\n"a": "{% include "p" %}"}', "json", partials=partials)
    (problem,) = try_out(ENGINE, text, [{"name": "x", "type": "string"}], lambda: None)
    assert (problem["type"], problem["line"], problem["column"]) == ("html_partial", 2, 7)
    assert f"'{'inner' if 'inner' in partial else 'p'}' is HTML" in problem["message"]


@each(
    "partial",
    [
        *(
            "Bye {{ x }}",
            "1 < 2 & 3 > 2",
            "<https://example.org/|{{ x }}> <@U1> <!here>",
            "a&b;c=d",
        ),
        *("{% if x < 'b' %}y{% endif %}", "{# <p> #}x", '{% include "inner" %}'),
    ],
)
def test_a_partial_of_words_stands_in_a_string(partial: str) -> None:
    """Those of chats too."""
    text = source_of('{"a": "{% include "p" %}"}', "json", partials={"p": partial, "inner": "x"})
    assert try_out(ENGINE, text, [{"name": "x", "type": "string"}], lambda: None) == []


def tried(source: str, *declared: dict[str, Any]) -> list[Problem]:
    """Return the problems of the trial renders of a publish."""
    return try_out(ENGINE, source_of(source, "json"), declared, lambda: None)


@QUICK
@drawn(st.text(), VALUES)
@example(HOSTILE, [HOSTILE, None, True, 0.1])
def test_values_are_encoded_by_their_position(text: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Inside a string they are its text, elsewhere JSON values: no value breaks the document."""
    source = '{"in {{ t }}": "a {{ t }} b", "value": {{ v }}, "list": [{{ t }}, {{ v }}]}'
    if value is None:
        value = [None]
    assert rendered(source, t=text, v=value) == {
        f"in {text}": f"a {text} b",
        "value": value,
        "list": [text, value],
    }


@QUICK
@drawn(VALUES)
def test_tojson_is_the_json_text_in_a_string_and_the_value_elsewhere(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """As FCM wants it, whose data are texts."""
    document = rendered(
        '{"text": "{{ v.v | tojson }}", "value": {{ v.v | tojson }}}', v={"v": value}
    )
    assert document["value"] == value
    assert json.loads(document["text"]) == value


@each(
    ("source", "values", "document"),
    [
        ('{"n": "{{ n }}", "m": {{ n }}}', {"n": 12}, {"n": "12", "m": 12}),
        ('{"n": "{{ n }}"}', {"n": -1.5}, {"n": "-1.5"}),
        ("{{ x }}", {"x": "a"}, "a"),
        ('"{{ x }}"', {"x": HOSTILE}, HOSTILE),
        ("[]", {}, []),
        (
            '[{% for i in l %}{"t": "{{ i }}"}{% if not loop.last %},{% endif %}{% endfor %}]',
            {"l": [HOSTILE, "b"]},
            [{"t": HOSTILE}, {"t": "b"}],
        ),
        ('{"a": 1{% if b %}, "b": {{ b }}{% endif %}}', {"b": "x"}, {"a": 1, "b": "x"}),
        ('{"a": {{ x | upper }}, "b": "{{ x | upper }}"}', {"x": 'a"'}, {"a": 'A"', "b": 'A"'}),
        ('{"a": {{ l | map("upper") | sort }}}', {"l": ["a"]}, {"a": ["A"]}),
        ('{"a": "{{ l | join(", ") }}"}', {"l": ["a", '"']}, {"a": 'a, "'}),
        ('{"a": {{ {"k": [x, 1]} }}}', {"x": '"'}, {"a": {"k": ['"', 1]}}),
        ('{"a": {{ x == 1 }}, "b": {{ x + 1 }}}', {"x": 1}, {"a": True, "b": 2}),
        ('{"a": {{ o.n }}}', {"o": {"n": None}}, {"a": None}),
        (
            '{"a": {{ x | default("d") }}, "b": "{{ x | default("d\\"") }}"}',
            {},
            {"a": "d", "b": 'd"'},
        ),
        ('{"p": "{{ n | currency("EUR") }}"}', {"n": 3}, {"p": "€3.00"}),
        ('{# note #}{% raw %}{"a": "{{ x }}"}{% endraw %}', {}, {"a": "{{ x }}"}),
        ('{"q": "\\"{{ x }}\\"", "b": "\\\\{{ x }}"}', {"x": "a"}, {"q": '"a"', "b": "\\a"}),
    ],
)
def test_documents(source: str, values: dict[str, Any], document: Any) -> None:  # noqa: ANN401 - any JSON value
    """Numbers, conditions, loops, filters, defaults, objects that the template makes."""
    assert rendered(source, **values) == document


def test_macros_captures_and_partials_hold_json() -> None:
    """What they give is not encoded again; the values in them are."""
    source = (
        '{% macro block(t) %}{"type": "section", "text": "{{ t }}"}{% endmacro %}'
        "{% set c %}Hi {{ x }}{% endset %}"
        '{"blocks": [{{ block(x) }}, {{ block("k") }}], "c": "{{ c }}",'
        ' "p": {% include "p" %}, "q": "{% include "q" %}"}'
    )
    partials = {"p": '{"k": "{{ x }}", "v": {{ x }}}', "q": "Bye {{ x }}"}
    assert rendered(source, partials, x=HOSTILE) == {
        "blocks": [{"type": "section", "text": HOSTILE}, {"type": "section", "text": "k"}],
        "c": f"Hi {HOSTILE}",
        "p": {"k": HOSTILE, "v": HOSTILE},
        "q": f"Bye {HOSTILE}",
    }


@each(
    ("source", "kind"),
    [
        ('{"a": 1,}', "json"),
        ('{"a": 1} x', "json"),
        ("", "json"),
        ("{'a': 1}", "json"),
        ('{"a": NaN}', "json"),
        ('{"a": -Infinity}', "json"),
        ('{"a": 1, "a": 2}', "json"),
        ('{"a": "\n"}', "json"),
        ('{"a": "\\ud800"}', "lone_surrogate"),
        ('{"a": {{ n }}{{ n }}}', "json"),
        ('{"a": 1{{ n }}}', "json"),
        ('{"a": t{{ n }}}', "json"),
        ("{ {{ n }}: 1}", "json"),
        ('{"a": "\\{{ x }}"}', "json_escape"),
        ('{"a": "\\u{{ x }}"}', "json_escape"),
        ('{"a": "\\u00{{ x }}"}', "json_escape"),
        ('{% set c %}Hi {{ x }}{% endset %}{"a": "{{ c | upper }}"}', "json_filter"),
        ('{% set c %}Hi {{ x }}{% endset %}{"a": {{ [c] }}}', "json_filter"),
        ('{% set c %}{{ x }}{% endset %}{"a": "{{ c ~ "!" }}"}', "json_filter"),
    ],
)
def test_what_is_no_document_is_a_fault_of_the_source(source: str, kind: str) -> None:
    """Never a result that a client could not parse."""
    error = refused(source, x="x", n=1)
    assert (error.code, error.problem["type"]) == (Code.TEMPLATE_SYNTAX, kind)


def test_the_place_of_a_fault_is_in_the_source() -> None:
    """With line and column, and how to write commas of a loop."""
    problem = refused('[\n{% for i in l %}"{{ i }}",{% endfor %}\n]', l=["a"]).problem
    assert (problem["path"], problem["line"]) == ("body", 2)
    assert "{% if not loop.last %},{% endif %}" in problem["message"]
    for source, place in (
        ("[{{ x }} {{ y }}, 1, 2, 3]", (1, 10)),
        ("[1,\n {{ x }},\n {{ y }} 2 3, 4]", (3, 10)),
        ('{"a": {{ x }} "b": 1, "c": 2}', (1, 15)),
        ('{"a": {{ x }}{{ z }}}', (1, 7)),
        ("[{{ x }}{{ z }}]", (1, 2)),
        ('{"a": {{ x }}"b"}', (1, 7)),
    ):
        problem = refused(source, x=1, y=2, z="t").problem
        assert (problem["line"], problem["column"]) == place


@each(
    ("source", "column"),
    [
        ('[{% for i in l %}"{{ i }}"{{ "," if not loop.last else "" }}{% endfor %}]', 27),
        ("[{% for i in l %}{{ i }}{{ ', ' }}{% endfor %}1]", 25),
    ],
)
def test_a_printed_separator_is_told_from_one_that_is_written(source: str, column: int) -> None:
    """A placeholder outside of strings prints a text with its quotes, a comma too."""
    problem = refused(source, l=["a", "b"]).problem
    assert problem["message"].endswith(
        "a placeholder prints a text in quotes: write {% if not loop.last %},{% endif %}"
    )
    assert problem["column"] == column


@each(
    ("value", "word"),
    [([1], "array"), ({"a": 1}, "object"), (True, "true or false"), (False, "true or false")],
)
def test_what_is_no_text_is_not_printed_in_a_string(value: Any, word: str) -> None:  # noqa: ANN401 - any JSON value
    """The refusal says what to write instead."""
    error = refused('{"a": "{{ x }}"}', x=value)
    assert error.code is Code.VARIABLES_INVALID
    assert word in error.message
    assert "tojson" in error.message


@each(
    "print_",
    [
        *("none", "None", "x or none", "x if x else none", "(x and x) or none"),
        *("(x or none) | tojson", "none | tojson"),
    ],
)
def test_an_author_may_write_null_for_what_is_missing(print_: str) -> None:
    """JSON has it, and the program that reads the document expects it."""
    assert rendered('{"a": {{ ' + print_ + " }}}", x="") == {"a": None}


@each("print_", ["none", "x or none", "x | default(none, true)"])
def test_null_in_a_string_is_refused_with_its_place(print_: str) -> None:
    """Readers would see the word."""
    problem = refused('{\n"a": "{{ ' + print_ + ' }}"}', x="").problem
    assert "null would be printed in a JSON string" in problem["message"]
    assert (problem["line"], problem["column"]) == (2, 7)


def test_null_in_a_string_and_a_missing_value_are_refused() -> None:
    """As in every other text."""
    assert refused('{"a": "{{ x.y }}"}', x={"y": None}).problem["type"] == "json_string"
    assert refused('{"a": {{ x.y }}}', x={}).problem["type"] == "undefined"
    assert refused('{"a": {{ "b" if x }}}', x=False).problem["type"] == "null"


def test_subjects_and_digests_are_as_for_other_types() -> None:
    """A subject is one line of text, and the digest is of subject and body."""
    text = source_of('{"a": "{{ x }}"}', "json", "For {{ x }}")
    parts = ENGINE.render(ENGINE.prepare(text), given({"x": '"'}))
    assert parts["subject"] == 'For "'
    assert len(parts["content_sha256"]) == 64
    assert set(parts) == {"subject", "body", "document", "content_sha256"}


def test_long_integers_are_exact() -> None:
    """Also those that the author writes."""
    assert rendered('{"a": 12345678901234567890}') == {"a": 12345678901234567890}
    assert math.isclose(rendered('{"a": {{ x }}}', x=1e-7)["a"], 1e-7)


STRING = {"name": "x", "type": "string"}
OPTIONAL = {"name": "x", "type": "string", "required": False}
FLAG = {"name": "f", "type": "boolean"}
LIST = {"name": "l", "type": "array"}
ANY = {"name": "l", "type": "any"}


@each(
    ("source", "declared"),
    [
        ('[{% for i in l %}"{{ i }}",{% endfor %}0]', (LIST,)),
        ('[{% for i in l %}"{{ i }}"{% if not loop.last %},{% endif %}{% endfor %}]', (LIST,)),
        ('[{% for i in l %}"{{ i }}"{% if not loop.last %},{% endif %}{% endfor %}]', (ANY,)),
        ('{"a": 1{% if x is defined %}, "x": "{{ x }}"{% endif %}}', (OPTIONAL,)),
        ('{"a": {% if f %}1{% else %}2{% endif %}}', (FLAG,)),
        ('{"a": {{ l }}, "b": {{ x }}}', (ANY, STRING)),
        ('{"a": {{ f }}}', (FLAG,)),
    ],
)
def test_sound_bodies_pass_the_trial(source: str, declared: tuple[dict[str, Any], ...]) -> None:
    """With lists of no item, one and two, and optional values given and left out."""
    assert tried(source, *declared) == []


@each(
    ("source", "declared"),
    [
        ('[{% for i in l %}"{{ i }}",{% endfor %}]', (LIST,)),
        ('[{% for i in l %}"{{ i }}",{% endfor %}]', (ANY,)),
        ('[{% for i in l %}"{{ i }}"{% endfor %}]', (LIST,)),
        ('[{% for i in l %}"{{ i }}"{% endfor %}]', (ANY,)),
        ('[1,{% for i in l %}"{{ i }}"{% if not loop.last %},{% endif %}{% endfor %}]', (LIST,)),
        ('[1,{% for i in l %}"{{ i }}"{% if not loop.last %},{% endif %}{% endfor %}]', (ANY,)),
        ('{"a": 1,{% if x is defined %} "x": "{{ x }}"{% endif %}}', (OPTIONAL,)),
        (
            '{ {% if x is defined %}"x": 1,{% endif %} {% if f %}"f": 2{% endif %} }',
            (OPTIONAL, FLAG),
        ),
        (
            '{ {% if f %}"f": 1{% endif %}{% if x is defined %}, "x": 2{% endif %} }',
            (OPTIONAL, FLAG),
        ),
        ('{"a": {% if f %}1{% endif %}}', (FLAG,)),
        ('{"a": {{ x }}, {{ x }}}', (STRING,)),
        ('{"a": "{{ x }}}', (STRING,)),
    ],
)
def test_a_body_that_is_no_json_for_some_values_is_refused(
    source: str, declared: tuple[dict[str, Any], ...]
) -> None:
    """A comma too many or too few shows with some shape of the values only."""
    problems = tried(source, *declared)
    assert problems
    assert {problem["path"] for problem in problems} == {"body"}


@each(
    ("source", "remedy", "column"),
    [
        ('{"a": {% if b %}"x"{% endif %}}', "write {% else %}null", 7),
        ('{"a": 1,}', "remove the comma before it", 9),
        ("[{% for i in l %}{{ i }},{% endfor %}]", "{% if not loop.last %}", 26),
        ('{"a": 1} // note', "text after its end", 10),
        ('{"a": 1, "a": 2}', "a member twice", 10),
        ("{'a': 1}", "belong in quotes like this", 2),
        ('{"a": "x\ty"}', "a line break or tab is in a string", 9),
        ('{"a": NaN}', "NaN is not JSON: write null", 7),
        ('{"a": True}', "JSON has true, false and null", 7),
        ('\ufeff{"a": 1}', "remove the byte order mark", 1),
        ('{"a": "y\\{{ n }}"}', "remove the backslash", 9),
        ('{"a": {{ n }}, "b": "{{ b }}"}', "true or false would be printed", 22),
    ],
)
def test_what_is_no_json_has_a_place_and_a_remedy(source: str, remedy: str, column: int) -> None:
    """In words for authors, not in a parser's words."""
    declared: list[dict[str, Any]] = [
        {"name": "b", "type": "boolean"},
        {"name": "l", "type": "array", "example": ["a"]},
        {"name": "n", "type": "string"},
    ]
    problem = try_out(ENGINE, source_of(source, "json"), declared, lambda: None)[0]
    assert remedy in problem["message"]
    assert problem["column"] == column
