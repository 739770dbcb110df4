"""The template engine as it is set up here: strict, escaping by output, and out of reach."""

import json
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.frames import encode
from tasks.rendering.limits import Limits
from tasks.rendering.outputs import sha256
from tasks.rendering.texts import declaring
from tasks.rendering.variables import Schema
from tests.support.cases import each
from tests.support.sources import body_of, given, source_of

QUICK = settings(max_examples=80, deadline=None)
ENGINE = Engine(Limits())
OPTIONAL = {"name": "x", "type": "any", "required": False}
LITTLE = Limits(render_memory_mb=64)
HOSTILE = "<script>alert(\"1\" + '2')</script>&amp;"


def html(source: str, /, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render an HTML body."""
    return body_of(ENGINE, source_of(source), values)


def text(source: str, /, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a text body."""
    return body_of(ENGINE, source_of(source, "sms"), values)


def subject(source: str, /, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a subject."""
    rendered = ENGINE.part(ENGINE.prepare(source_of("", "email", source)), "subject", given(values))
    assert rendered is not None
    return rendered


def refused(source: str, **values: Any) -> SourceError:  # noqa: ANN401 - any JSON value
    """Return the error of an HTML body that does not render."""
    with pytest.raises(SourceError) as caught:
        html(source, **values)
    return caught.value


def placeholders(source: str) -> list[str]:
    """Return the placeholders of an HTML body that compiles."""
    names, _ = ENGINE.inspect(source, "body", html=True, needs={})
    assert names is not None
    return names


def compiles(source: str) -> bool:
    """Tell whether an HTML body compiles."""
    try:
        ENGINE.prepare(source_of(source))
    except SourceError:
        return False
    return True


class TestOutput:
    """What comes out, and how it is escaped."""

    def test_html_bodies_escape_values(self) -> None:
        """A value is text in the page, never a tag, in elements and in attributes."""
        assert html("<p title='{{ x }}'>{{ x }}</p>", x="<\"'&>") == (
            "<p title='&lt;&quot;&#x27;&amp;&gt;'>&lt;&quot;&#x27;&amp;&gt;</p>"
        )

    def test_text_and_subjects_never_show_entities(self) -> None:
        """An ampersand in an SMS is an ampersand."""
        assert text("{{ x }}", x=HOSTILE) == HOSTILE
        assert subject("{{ x }}", x=HOSTILE) == HOSTILE

    def test_the_source_itself_is_not_escaped(self) -> None:
        """The template's author writes HTML."""
        assert html("<b>&amp;</b>") == "<b>&amp;</b>"

    def test_a_trailing_newline_stays(self) -> None:
        """The text is what its author wrote."""
        assert text("a\n") == "a\n"

    def test_nul_never_leaves(self) -> None:
        """Neither from the source nor from a value."""
        assert text("a{{ x }}", x="\0b") == "a\ufffdb"

    def test_values_bring_no_marks_into_the_text_part(self) -> None:
        """Controls that HTML does not allow are left out of it; what only looks like one stays."""
        marks = "".join(map(chr, (*range(0x01, 0x09), *range(0x0E, 0x1A))))
        value = f"{marks}a\\u0010\\b\tb{marks}"
        source = source_of("<p>{{ x }}</p>") | {"type": "email", "subject": "s"}
        ready = ENGINE.prepare(source)
        parts = ENGINE.render(ready, ENGINE.values(ready, encode({"x": value})))
        assert parts["body"] == f"<p>{value}</p>"
        assert parts["text"] == "a\\u0010\\b b"

    @each("value", ["a\r\nBcc: x", "a\u2028Bcc: x", "\0a\n\nBcc:\tx", "a Bcc: x"])
    def test_a_subject_is_one_line(self, value: str) -> None:
        """No value adds a header field."""
        assert subject("{{ x }}", x=value) == value.translate(
            {0: "", ord("\r"): "", ord("\n"): " ", 0x2028: " ", ord("\t"): " "}
        ).replace("  ", " ")

    def test_a_subject_has_at_most_998_characters(self) -> None:
        """RFC 5322: at the limit it passes; above it the error has limit and size."""
        assert len(subject("{{ x }}", x="ä" * 998)) == 998
        with pytest.raises(SourceError) as caught:
            subject("{{ x }}", x="ä" * 999)
        assert caught.value.problem["path"] == "subject"
        assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
        assert "999" in caught.value.message
        assert "998" in caught.value.message

    def test_the_output_limit_counts_bytes(self) -> None:
        """At the limit it passes, one byte more does not."""
        engine = Engine(Limits(output_bytes=10))
        source = source_of("{{ x }}", "sms")
        assert body_of(engine, source, {"x": "ä" * 5}) == "äääää"
        with pytest.raises(SourceError) as caught:
            body_of(engine, source, {"x": "ä" * 5 + "a"})
        assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
        assert caught.value.problem["path"] == "body"
        assert "11 bytes" in caught.value.message
        assert "10" in caught.value.message

    def test_tojson_in_an_attribute_stays_in_it(self) -> None:
        """The JSON is escaped like any value, so a browser reads it back whole."""
        value = {"a": "<\"'>"}
        parsed = Attributes.of(
            html("<p data-x=\"{{ x|tojson }}\" data-y='{{ x|tojson }}'>", x=value)
        )
        assert set(parsed) == {"data-x", "data-y"}
        assert [json.loads(text) for text in parsed.values()] == [value, value]


class Attributes(HTMLParser):
    """Collects tags, attributes and text as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str] = {}
        self.text = ""

    @classmethod
    def of(cls, page: str) -> dict[str, str]:
        """Return all attributes of a page."""
        return cls.read(page).attributes

    @classmethod
    def read(cls, page: str) -> "Attributes":
        """Return a page that was read."""
        parser = cls()
        parser.feed(page)
        parser.close()
        return parser

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes |= {name: value or "" for name, value in attrs}

    def handle_comment(self, data: str) -> None:
        """Note a comment as a tag: no value may make one."""
        self.tags.append(f"!{data}")

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


ANY_TEXT = st.text(st.sampled_from("<>\"'&/=!-ab;#{}%") | st.characters(codec="utf-8"), max_size=60)
# Each renders a value in its own way; all must keep it text.
WAYS = (
    "{{ x }}",
    "{{ x|e }}",
    "{{ (x|e)|e }}",
    "{{ x ~ x }}",
    "{{ [x, x|e]|join(x) }}",
    "{{ '%s'|format(x) }}",
    "{{ ('%s'|e)|format(x) }}",
    "{{ ('{}'|e).format(x) }}",
    "{{ (x|e)|replace('&lt;', '<') }}",
    "{{ (x|e).replace('&lt;', '<') }}",
    "{{ x|e|upper }}",
    "{{ (x|e)|trim|default(x) }}",
    "{{ x|tojson }}",
    "{{ {'k': [x]}|tojson }}",
    "{{ [x]|join }}",
    "{{ {x: x}|tojson }}",
    "{{ [x]|list }}{{ [x, x]|list('or') }}",
    "{{ [x|e]|join }}",
    "{{ x|wordwrap(width=3) }}{{ x|truncate(length=5) }}{{ x|urlencode }}{{ x|pprint }}",
    "{% for g in [{'k': x}]|groupby('k') %}{{ g.grouper }}{{ (g.list|first).k }}{% endfor %}",
    "{{ [x]|zip([x|e])|first|join }}{{ [x]|chain([x|e])|join }}",
    "{{ 2|plural(one=x, other=x) }}",
    "{{ x|indent(2) }}{{ x|title }}{{ x|reverse }}",
    "{% set y = x %}{{ y }}",
    "{% set y %}{{ x }}{% endset %}{{ y }}",
    "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(x) }}{{ m(x)|replace('&', '') }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ x }}{% endcall %}",
    "{% filter upper %}{{ x }}{% endfilter %}",
    "{% filter replace('&lt;', '<') %}{{ x }}{% endfilter %}",
    "{% for c in [x] %}{{ loop.index }}{{ c }}{% endfor %}",
    "{% with y = x %}{{ y }}{% endwith %}",
    "{% block b %}{{ x }}{% endblock %}{{ self.b() }}",
)


@pytest.mark.parametrize("way", WAYS)
@QUICK
@drawn(value=ANY_TEXT)
@example(value=HOSTILE)
@example(value="\"><img src=x onerror='1'>")
@example(value="{{ x }}{% raw %}")
def test_rendered_html_holds_values_only_as_text(way: str, value: str) -> None:
    """Whatever a value holds, the page has the tags and attributes that its author wrote."""
    parsed = Attributes.read(html(f'<p class="c">{way}</p>', x=value))
    assert (parsed.tags, parsed.attributes) == (["p"], {"class": "c"})
    parsed = Attributes.read(html(f'<p title="{way}">', x=value))
    assert (parsed.tags, set(parsed.attributes)) == (["p"], {"title"})


@QUICK
@drawn(ANY_TEXT)
def test_a_browser_reads_the_value_that_was_given(value: str) -> None:
    """Escaping loses nothing (but NUL, and the CR that HTML itself turns to LF)."""
    value = value.replace("\r", "").replace("\0", "")
    parsed = Attributes.read(html('<p title="{{ x }}">{{ x }}</p>', x=value))
    assert parsed.attributes["title"] == value
    assert parsed.text == value


@QUICK
@drawn(st.text(max_size=30) | st.text(st.sampled_from("{}%#|. ab'\"()[]-~\n"), max_size=30))
def test_any_source_renders_or_is_explained(source: str) -> None:
    """Nothing but a code of the contract comes out of a source."""
    try:
        names, problems = ENGINE.inspect(source, "body", html=True, needs={})
        assert (names is not None) is compiles(source)
        assert names is None or names == sorted(names)
        assert all(problem["path"] == "body" for problem in problems)
        html(source, a="x", b=["y"])
    except SourceError as error:
        assert error.code in {Code.TEMPLATE_SYNTAX, Code.VARIABLES_INVALID}  # noqa: PT017 - either way is fine
        assert error.problem["path"] == "body"  # noqa: PT017 - the same


class TestStrict:
    """A missing value is an error, never a blank."""

    @each(
        ("source", "missing"),
        [
            ("Dear {{ name }}", "name"),
            ("{{ user.name }}", "user.name"),
            ("{% for n in names %}{% endfor %}", "names"),
            ("{{ name|upper }}", "name"),
            ("{{ name ~ 'x' }}", "name"),
            ("{{ user['name'] }}", "user"),
        ],
    )
    def test_a_missing_value_is_named(self, source: str, missing: str) -> None:
        """By its path, with the place in the source."""
        error = refused(source)
        assert error.code == Code.VARIABLES_INVALID
        assert missing in error.message
        assert error.problem["type"] == "undefined"
        assert error.problem["line"] == 1

    def test_all_missing_values_are_named_at_once(self) -> None:
        """Not only the one that the engine met first."""
        error = refused("{{ a }}{{ b }}{{ c.d }}", b=1)
        assert "a" in error.message
        assert "c.d" in error.message
        assert "b" not in error.message.removeprefix("no value for ")

    def test_guards_may_ask_for_what_is_missing(self) -> None:
        """``default`` and ``is defined`` are how a template says that a value is optional."""
        assert text("{{ a|default('x') }}{% if b is defined %}{{ b }}{% endif %}") == "x"

    def test_an_if_without_else_prints_nothing(self) -> None:
        """The author says so; words that look like none or undefined change nothing in it."""
        for rest in ("", " None of these is undefined"):
            assert text(f"{{{{ 'a' if flag }}}}{rest}", flag=False) == rest
            assert text(f"{{{{ 'a' if flag }}}}{rest}", flag=True) == f"a{rest}"

    @each("words", ["None", "undefined", "[None]", "[undefined]"])
    def test_words_that_look_like_nothing_are_words(self, words: str) -> None:
        """A value or a source may say None."""
        assert text(f"{words} {{{{ x }}}} {{{{ xs|tojson }}}}", x=words, xs=[words]) == (
            f'{words} {words} ["{words}"]'
        )

    @each("source", ["{{ none }}", "{{ [none] }}", "{{ {'a': none} }}", "{{ x|default(none) }}"])
    def test_a_none_of_the_template_is_never_printed(self, source: str) -> None:
        """It would read None, for which there is no word in a letter."""
        error = refused(source)
        assert error.code == Code.VARIABLES_INVALID
        assert error.problem["type"] == "null"


class TestPartials:
    """Errors in a partial have its id and the place in its source."""

    PARTIALS: Final = {
        "footer": "Kind regards\nYours {{ sender }}",
        "middle": '\n{% include "footer" %}',
        "layout": "<p>\n{% block main %}\n{{ title }}{% endblock %}</p>",
        "macro": "{% macro m(a) %}\n{{ a.b.c }}{% endmacro %}\n\n{{ m(user) }}",
        "zero": "a\n\n{{ 1 / zero }}",
        "unknown": "a\n{{ zero|nope }}",
        "wrong": "{{ zero|number }}\n{{ zero|currency(code) }}{{ zero|currency('EUR') }}",
        "literal": "a\n{{ zero|currency('Euro') }}",
        "blank": "a\n{{ zero is eq(1) }} {{ sender is eq(1) }}",
    }

    def refused(self, source: str) -> SourceError:
        """Return the error of a body with these partials."""
        text = source_of(source, partials=self.PARTIALS)
        with pytest.raises(SourceError) as caught:
            body_of(ENGINE, text, {"zero": 0, "user": {}, "code": "Euro", "nothing": None})
        return caught.value

    @each(
        ("source", "partial", "line", "snippet"),
        [
            ('{% include "footer" %}', "footer", 2, "sender"),
            ('{% include "middle" %}', "footer", 2, "sender"),
            ('{% extends "layout" %}', "layout", 3, "title"),
            (
                '{% extends "layout" %}{% block main %}\n\n\n{{ super() }}{% endblock %}',
                "layout",
                3,
                "title",
            ),
            ('\n\n\n{% include "macro" %}', "macro", 2, "user.b.c"),
            ('{% include "zero" %}', "zero", 3, "division by zero"),
            ('{% include "unknown" %}', "unknown", 2, "nope"),
            ('{% include "wrong" %}', "wrong", 2, "ISO 4217"),
            ('{% include "literal" %}', "literal", 2, "ISO 4217"),
            ('{% include "blank" %}', "blank", 2, "sender"),
        ],
    )
    def test_partial_line_and_snippet_are_told(
        self, source: str, partial: str, line: int, snippet: str
    ) -> None:
        """The message begins with the partial, and the snippet is its line."""
        problem = self.refused(source).problem
        assert problem["message"].startswith(f"partial '{partial}': ")
        assert snippet in problem["message"]
        assert problem["line"] == line
        shown, caret = problem["snippet"].split("\n")
        assert shown == self.PARTIALS[partial].split("\n")[line - 1]
        assert caret == " " * (problem["column"] - 1) + "^"

    @each(
        ("source", "line", "column"),
        [
            ('{% extends "layout" %}{% block main %}\n{{ own }}{% endblock %}', 2, 4),
            ('a\n{% include "gone" %}', 2, 4),
            ("{% block b %}\n{{ own }}{% endblock %}", 2, 4),
            ("{% macro m(a) %}\n\n{{ a }}{% endmacro %}{{ m(own) }}", 3, 4),
        ],
    )
    def test_an_error_of_the_text_itself_names_no_partial(
        self, source: str, line: int, column: int
    ) -> None:
        """The partial that a text extends is not blamed for the text's own block."""
        problem = self.refused(source).problem
        assert "partial '" not in problem["message"]
        assert (problem["line"], problem["column"]) == (line, column)
        assert problem["snippet"].split("\n")[0] == source.split("\n")[line - 1]

    def test_whose_fault_it_is_does_not_depend_on_the_place(self) -> None:
        """A wrong literal is the template's fault wherever it is, a wrong value the producer's."""
        assert self.refused('{% include "literal" %}').code == Code.TEMPLATE_SYNTAX
        assert self.refused('{% include "unknown" %}').code == Code.TEMPLATE_SYNTAX
        assert self.refused('{% include "wrong" %}').code == Code.VARIABLES_INVALID
        assert self.refused('{% include "footer" %}').code == Code.VARIABLES_INVALID

    @each("name", ["upper", "length", "title", "abs", "truncate", "e", "nope"])
    @each("arguments", ["(1)", "(nope=1)", "('a', 'b', 'c')"])
    def test_names_of_ours_are_in_no_error(self, name: str, arguments: str) -> None:
        """The engine knows compiled sources by names that another process would not give them."""
        source = f"{{{{ x|{name}{arguments} }}}}"
        texts = [
            source_of(source),
            source_of('{% include "p" %}', partials={"p": source}),
            source_of('{% include "q" %}', partials={"p": source, "q": '{% include "p" %}'}),
            source_of(f"{{% block b %}}{source}{{% endblock %}}"),
            source_of(f"{{% macro m() %}}{source}{{% endmacro %}}{{{{ m() }}}}"),
        ]
        messages = []
        for text in texts:
            with pytest.raises(SourceError) as caught:
                body_of(ENGINE, text, {"x": "a"})
            assert caught.value.code == Code.TEMPLATE_SYNTAX
            messages.append(caught.value.problem["message"].removeprefix("partial 'p': "))
        assert len(set(messages)) == 1
        assert "template" not in messages[0]
        assert "<expression>" not in messages[0]


class TestParts:
    """What a finished notification of each type has."""

    @each(
        ("kind", "names"),
        [
            ("email", {"text"}),
            ("in_app", set()),
            ("partial", set()),
            ("sms", {"encoding", "length", "segments", "ucs2_characters"}),
            ("push", {"title"}),
        ],
    )
    def test_each_type_has_its_parts(self, kind: str, names: set[str]) -> None:
        """Subject, body and digest are of every type."""
        ready = ENGINE.prepare(source_of("<p>{{ x }}</p>", kind, "Hi {{ x }}"))
        parts = ENGINE.render(ready, given({"x": "A&B"}))
        assert set(parts) == {"subject", "body", "content_sha256"} | names
        assert parts["subject"] == "Hi A&B"
        escaped = kind in {"email", "in_app", "partial"}
        assert parts["body"] == ("<p>A&amp;B</p>" if escaped else "<p>A&B</p>")
        assert parts["content_sha256"] == sha256(parts["subject"], parts["body"])
        assert parts.get("text", "A&B\n").rstrip("\n") == "A&B"
        assert parts.get("title", "Hi A&B") == "Hi A&B"
        assert parts.get("length", 10) == 10

    def test_without_a_subject_there_is_none(self) -> None:
        """An SMS has none, and a push without one has no title."""
        parts = ENGINE.render(ENGINE.prepare(source_of("a", "push")), {})
        assert (parts["subject"], parts["title"]) == (None, None)

    def test_addresses_that_run_scripts_are_refused(self) -> None:
        """A value may be an address, but no program; the author's own are the author's."""
        error = refused('<a href="{{ x }}">a</a>', x="javascript:alert(1)")
        assert error.code == Code.VARIABLES_INVALID
        assert error.problem["type"] == "dangerous_address"
        assert error.problem["column"] == 10
        joined = refused('<a href="{{ x }}:{{ y }}">a</a>', x="javascript", y="alert(1)")
        assert joined.problem["column"] == 10
        assert "in href of <a>: send one" in error.message
        assert error.message.endswith("; variables: x")
        assert "alert" not in error.message
        assert text('<a href="{{ x }}">a</a>', x="javascript:alert(1)").endswith("a</a>")
        assert html('<a href="{{ x }}">a</a>', x="https://example.org").endswith("a</a>")

    def test_the_same_message_gives_the_same_bytes(self) -> None:
        """In another process too, whatever was rendered before."""
        source = source_of(
            "{% for g in xs|groupby('a') %}{{ g.list|tojson }}{% endfor %}{{ xs|zip(xs)|tojson }}"
            "{{ xs|map(attribute='a')|unique|tojson }}{{ o|dictsort|tojson }}{{ o.items()|pprint }}"
            "{{ range(3)|join }}{{ cycler }}{{ joiner }}{{ xs|batch(2)|tojson }}{{ xs|pprint }}",
            "email",
            "{{ xs|tojson }}",
        )
        values = given({"xs": [{"a": 1.5}, {"a": 2}], "o": {"z": 1, "a": [True]}})
        other = Engine(Limits())
        other.render(other.prepare(source_of("{{ 1 }}")), {})
        results = [
            json.dumps(engine.render(engine.prepare(source), values))
            for engine in (ENGINE, other, ENGINE)
        ]
        assert len(set(results)) == 1
        assert "0x" not in results[0]


class TestOutOfReach:
    """What would switch escaping off, or reach beyond the values."""

    @each(
        "source",
        [
            "{{ x|safe }}",
            "{{ debug() }}",
            "{% autoescape false %}{{ x }}{% endautoescape %}",
            "{%- autoescape 'none' -%}{{ x }}{%- endautoescape -%}",
            "{%+autoescape false%}{{ x }}{%endautoescape%}",
            "{%\n\tautoescape false %}{{ x }}{% endautoescape %}",
            "{{ '{#' }}{% autoescape false %}{{ x }}{% endautoescape %}{{ '#}' }}",
            "{{ '{% raw %}' }}{% autoescape false %}{{ x }}{% endautoescape %}{{ '{% endraw %}' }}",
            "{% set a = '{#' %}{% autoescape false %}{{ x }}{% endautoescape %}{% set b = '#}' %}",
            "{% raw %}{#{% endraw %}{% autoescape false %}{{ x }}{% endautoescape %}{{ '#}' }}",
            "{% include 'x' %}",
            "{% include x %}",
            "{% extends 'x' %}",
            "{% import 'x' as y %}",
            "{% from 'x' import y %}",
            "{{ x|nosuchfilter }}",
            "{{ x is nosuchtest }}",
            "{{ nosuchfunction(x) }}",
            "{{ x|e('none') }}",
            "{{ open('/etc/passwd') }}",
            "{{ lipsum() }}",
        ],
    )
    def test_is_an_error_of_the_source(self, source: str) -> None:
        """The template is at fault whatever the values are, and no value is rendered raw."""
        error = refused(source, x=HOSTILE)
        assert error.code == Code.TEMPLATE_SYNTAX
        assert "script" not in json.dumps([error.message, error.problem])

    @each("attribute", ["__class__", "__init__", "__globals__", "mro", "func_globals", "_x"])
    def test_python_is_not_behind_the_values(self, attribute: str) -> None:
        """Jinja2's usual way out of the sandbox: there is no attribute, so no value."""
        for value in ("a", 1, [1], {"a": 1}, True):
            assert refused(f"{{{{ x.{attribute} }}}}", x=value).code == Code.VARIABLES_INVALID
            assert refused(f"{{{{ x|attr('{attribute}') }}}}", x=value).code == (
                Code.VARIABLES_INVALID
            )

    @each(
        "source",
        [
            "{{ n / 0 }}",
            "{{ n % 0 }}",
            "{{ n ** 10000 }}",
            "{{ n * 10 ** 57 }}",
            "{% include s %}",
            "{% extends s %}",
            "{% import s as x %}",
            "{{ [1]|map(s)|list }}",
            "{{ [1]|select(s)|list }}",
            "{{ s|int }}",
            "{{ s + 1 }}",
            "{{ s() }}",
            "{{ s.nosuch() }}",
            "{{ ('%' ~ s)|format(1) }}",
            "{{ ('{:' ~ s ~ '}').format(1) }}",
            "{{ '%d'|format(s) }}",
            "{{ '{:d}'.format(s) }}",
            "{{ d.items(**d) }}",
            "{{ d.pop(s) }}",
            "{{ {d: 1}|tojson }}",
            "{{ s|join(n) }}{{ n|join(s) }}",
            "{{ s|truncate(length=s) }}",
            "{{ n|groupby(s) }}",
            "{{ [s]|sum(attribute=s) }}",
            "{{ n is divisibleby(s, s) }}",
            "{{ n|currency(s) }}",
            "{{ s|number }}",
            "{{ {(s, 1): 1}|tojson }}",
            "{{ s|tojson(s) }}",
            "{{ d|tojson(indent=s) }}",
            "{{ (1e308 * 10)|tojson }}",
            "{% set a, b = s %}",
            "{% for a, b in [s] %}{% endfor %}",
            "{{ d[s] }}",
            "{{ s|round }}",
            "{{ namespace(s) }}",
            "{{ range(s) }}",
            "{{ [1, s]|sum }}",
            "{{ s|dictsort }}",
        ],
    )
    def test_errors_never_hold_values(self, source: str) -> None:
        """Error texts reach logs and Flower; a code of the contract says what is wrong."""
        error = refused(source, s="SEKRET", n=987654321, d={"key": "SEKRET"})
        reported = json.dumps([error.message, error.problem])
        assert "SEKRET" not in reported
        assert "98765" not in reported
        assert error.code in {Code.TEMPLATE_SYNTAX, Code.VARIABLES_INVALID}

    def test_a_method_that_a_value_lacks_is_an_error_of_the_values(self) -> None:
        """An object has ``items``, a text has not: which it is, the producer decides."""
        source = "{% for k, v in x.items() %}{{ k }}={{ v }}{% endfor %}"
        assert html(source, x={"a": 1}) == "a=1"
        assert refused(source, x="text").code == Code.VARIABLES_INVALID

    def test_endless_recursion_is_a_limit(self) -> None:
        """The engine counts, so the process lives on."""
        error = refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")
        assert error.code == Code.RENDER_LIMIT_EXCEEDED


class TestSyntaxErrors:
    """An author sees where the source is wrong."""

    @each(
        ("source", "line", "column"),
        [
            ("{{ }}", 1, 4),
            ("Dear {{ name }}\n{% if %}", 2, 7),
            ("ä€😀{{ }}", 1, 7),
            ("a\nb\n  {{ x|nope }}", 3, 8),
        ],
    )
    def test_line_column_and_caret_lead_to_the_place(
        self, source: str, line: int, column: int
    ) -> None:
        """Both count from 1, in characters; the caret stands under the place."""
        problem = refused(source, x=1, name="a").problem
        assert (problem["line"], problem["column"]) == (line, column)
        shown, caret = problem["snippet"].split("\n")
        assert shown == source.split("\n")[line - 1]
        assert caret == " " * (column - 1) + "^"

    def test_a_long_line_is_cut_around_the_place(self) -> None:
        """A minified e-mail is one line of 200 KB: its author needs the place, not the line."""
        problem = refused(f"{'a' * 5000}{{{{ }}}}{'b' * 5000}").problem
        shown, caret = problem["snippet"].split("\n")
        assert len(shown) <= 120
        assert shown[caret.index("^") :].startswith("}}")

    def test_placeholders_are_not_read_from_a_broken_source(self) -> None:
        """Inspecting finds the same error as rendering."""
        path = "translations.de.body"
        names, problems = ENGINE.inspect("{% if x %}", path, html=False, needs={})
        assert names is None
        assert [problem["path"] for problem in problems] == [path]
        rendered = refused("{% if x %}").problem
        assert problems == [rendered | {"path": path}]


@each(
    ("source", "names"),
    [
        ("{{ a }}{{ b|upper }}{{ a }}", ["a", "b"]),
        ("{{ user.name }}{{ user.address.city }}", ["user.address.city", "user.name"]),
        ("{% for item in items %}{{ item.name }}{{ loop.index }}{% endfor %}", ["items"]),
        ("{% if a is defined %}{{ a }}{% endif %}{{ b|default(c) }}", ["a", "b", "c"]),
        ("{% set x = y %}{{ x }}", ["y"]),
        ("{% for i in range(n) %}{{ i }}{% endfor %}{{ dict(a=b) }}", ["b", "n"]),
        ("{% macro m(a) %}{{ a }}{{ b }}{% endmacro %}{{ m(c) }}", ["b", "c"]),
        ("{% with a = b %}{{ a }}{% endwith %}", ["b"]),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}", []),
        ("{% block b %}{{ a }}{% endblock %}{{ self.b() }}", ["a"]),
        ("{{ name.upper() }}{{ user.mail . split ('@') }}{{ x.y }}", ["name", "user.mail", "x.y"]),
        ("{% for k, v in order.items() %}{{ k }}{% endfor %}", ["order"]),
        ("{{ user.name }} user.name (as you wrote it)", ["user.name"]),
        ("no placeholder", []),
    ],
)
def test_placeholders_are_what_a_source_takes_from_its_values(
    source: str, names: list[str]
) -> None:
    """Names that the template makes itself, and the engine's own, are none of them."""
    assert placeholders(source) == names


@each(
    "name", ["self", "source", "name", "env", "template", "ctx", "kwargs", "cls", "range", "fuel"]
)
def test_a_value_may_have_any_name(name: str) -> None:
    """A producer's name that is also one of Python's or the engine's breaks nothing."""
    assert text("{{ x }}", **{"x": 1, name: "value"}) == "1"


def test_one_render_leaves_nothing_for_the_next() -> None:
    """The process is used again: neither values nor definitions of another recipient stay."""
    text("{% set leaked = x %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}", x="SEKRET")
    for source in ("{{ leaked }}", "{{ x }}", "{{ m() }}"):
        assert "SEKRET" not in str(refused(source).message)


class TestPreparedTexts:
    """Texts as JSON, which the worker sends with each render."""

    def test_a_text_is_prepared_once(self) -> None:
        """Until the engine forgets; equal JSON gives the same text, different JSON another one."""
        engine = Engine(Limits())
        first = encode(source_of("A {{ x }}"))
        ready = engine.prepared(first)
        engine.forget()
        assert engine.prepared(bytes(bytearray(first))) is ready
        assert engine.prepared(encode(source_of("B {{ x }}"))) is not ready
        assert engine.render(ready, given({"x": "1"}))["body"] == "A 1"

    def test_a_text_that_does_not_compile_is_refused_each_time(self) -> None:
        """With its place."""
        engine = Engine(Limits())
        for _ in range(2):
            with pytest.raises(SourceError) as caught:
                engine.prepared(encode(source_of("{% if %}")))
            assert caught.value.code == Code.TEMPLATE_SYNTAX

    @each("kind", ["sources", "texts", "characters"])
    def test_few_texts_are_kept(self, kind: str) -> None:
        """Whatever there are many of; the next render prepares what it needs again."""
        engine = Engine(LITTLE)
        first = encode(source_of("A"))
        ready = engine.prepared(first)
        texts = {
            "sources": [source_of(f"{n}") for n in range(LITTLE.compiled_sources)],
            "texts": [
                declaring(source_of("A"), Schema([OPTIONAL | {"name": f"v{n}"}]))
                for n in range(LITTLE.compiled_sources)
            ],
            "characters": [source_of("a" * LITTLE.compiled_characters)],
        }[kind]
        engine.forget()
        assert engine.prepared(first) is ready
        for each_text in texts:
            engine.prepared(encode(each_text))
        engine.forget()
        assert engine.prepared(first) is not ready
        assert engine.render(engine.prepared(first), {})["body"] == "A"
