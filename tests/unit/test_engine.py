"""The template engine as it is set up here: strict, escaping by output, and out of reach."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine, SourceError
from tasks.rendering.limits import Limits

QUICK = settings(max_examples=150, deadline=None)
ENGINE = Engine(Limits())
HOSTILE = "<script>alert(\"1\" + '2')</script>&amp;"


def html(source: str, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render an HTML body."""
    return ENGINE.body(source, "body", values, html=True)


def text(source: str, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a text body."""
    return ENGINE.body(source, "body", values, html=False)


def refused(source: str, **values: Any) -> SourceError:  # noqa: ANN401 - any JSON value
    """Return the error of an HTML body that does not render."""
    with pytest.raises(SourceError) as caught:
        html(source, **values)
    return caught.value


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
        assert ENGINE.subject("{{ x }}", "subject", {"x": HOSTILE}) == HOSTILE

    def test_the_source_itself_is_not_escaped(self) -> None:
        """The template's author writes HTML."""
        assert html("<b>&amp;</b>") == "<b>&amp;</b>"

    def test_a_trailing_newline_stays(self) -> None:
        """The text is what its author wrote."""
        assert text("a\n") == "a\n"

    def test_nul_never_leaves(self) -> None:
        """Neither from the source nor from a value."""
        assert text("a{{ x }}", x="\0b") == "a\ufffdb"

    @pytest.mark.parametrize(
        "value", ["a\r\nBcc: x", "a\u2028Bcc: x", "\0a\n\nBcc:\tx", "a Bcc: x"]
    )
    def test_a_subject_is_one_line(self, value: str) -> None:
        """No value adds a header field."""
        assert ENGINE.subject("{{ x }}", "subject", {"x": value}) == value.translate(
            {0: "", ord("\r"): "", ord("\n"): " ", 0x2028: " ", ord("\t"): " "}
        ).replace("  ", " ")

    def test_a_subject_has_at_most_998_characters(self) -> None:
        """RFC 5322: at the limit it passes, above it the limit and the size are told."""
        assert len(ENGINE.subject("{{ x }}", "subject", {"x": "ä" * 998})) == 998
        with pytest.raises(SourceError) as caught:
            ENGINE.subject("{{ x }}", "subject", {"x": "ä" * 999})
        assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
        assert "999" in caught.value.message
        assert "998" in caught.value.message

    def test_the_output_limit_counts_bytes(self) -> None:
        """At the limit it passes, one byte more does not."""
        engine = Engine(Limits(output_bytes=10))
        assert engine.body("{{ x }}", "body", {"x": "ä" * 5}, html=False) == "äääää"
        with pytest.raises(SourceError) as caught:
            engine.body("{{ x }}", "body", {"x": "ä" * 5 + "a"}, html=False)
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
    "{{ [x] }}",
    "{{ {x: x} }}",
    "{{ x|list|join }}",
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
@given(value=ANY_TEXT)
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
@given(ANY_TEXT)
def test_a_browser_reads_the_value_that_was_given(value: str) -> None:
    """Escaping loses nothing (but NUL, and the CR that HTML itself turns to LF)."""
    value = value.replace("\r", "").replace("\0", "")
    parsed = Attributes.read(html('<p title="{{ x }}">{{ x }}</p>', x=value))
    assert parsed.attributes["title"] == value
    assert parsed.text == value


@QUICK
@given(st.text(max_size=30) | st.text(st.sampled_from("{}%#|. ab'\"()[]-~\n"), max_size=30))
def test_any_source_renders_or_is_explained(source: str) -> None:
    """Nothing but a code of the contract comes out of a source."""
    try:
        names = ENGINE.placeholders(source, "body", html=True)
        assert names == sorted(names)
        html(source, a="x", b=["y"])
    except SourceError as error:
        assert error.code in {Code.TEMPLATE_SYNTAX, Code.VARIABLES_INVALID}  # noqa: PT017 - either way is fine
        assert error.problem["path"] == "body"  # noqa: PT017 - the same


class TestStrict:
    """A missing value is an error, never a blank."""

    @pytest.mark.parametrize(
        ("source", "missing"),
        [
            ("Dear {{ name }}", "name"),
            ("{{ user.name }}", "user.name"),
            ("{% if name %}x{% endif %}", "name"),
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

    @pytest.mark.parametrize("source", ["{{ x }}", "{{ o.x }}", "a{% if true %}{{ x }}{% endif %}"])
    def test_null_is_never_printed(self, source: str) -> None:
        """It would read ``None`` in a letter; the error names it."""
        error = refused(source, x=None, o={"x": None})
        assert error.code == Code.VARIABLES_INVALID
        assert error.problem["type"] == "null"
        assert "x" in error.message

    def test_null_may_be_asked_for(self) -> None:
        """Conditions and defaults work on it."""
        assert (
            text("{% if x is none %}-{% else %}+{% endif %}{{ x|default('d', true) }}", x=None)
            == "-d"
        )


class TestOutOfReach:
    """What would switch escaping off, or reach beyond the values."""

    @pytest.mark.parametrize(
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

    @pytest.mark.parametrize(
        "attribute", ["__class__", "__init__", "__globals__", "mro", "func_globals", "_x"]
    )
    def test_python_is_not_behind_the_values(self, attribute: str) -> None:
        """Jinja2's usual way out of the sandbox: there is no attribute, so no value."""
        for value in ("a", 1, [1], {"a": 1}, True):
            assert refused(f"{{{{ x.{attribute} }}}}", x=value).code == Code.VARIABLES_INVALID
            assert refused(f"{{{{ x|attr('{attribute}') }}}}", x=value).code == (
                Code.VARIABLES_INVALID
            )

    @pytest.mark.parametrize(
        "source",
        [
            "{{ n / 0 }}",
            "{{ n % 0 }}",
            "{{ n ** 10000 }}",
            "{{ n * 10 ** 37 }}",
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
            "{{ {d: 1} }}",
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
        told = json.dumps([error.message, error.problem])
        assert "SEKRET" not in told
        assert "98765" not in told
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

    @pytest.mark.parametrize(
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
        with pytest.raises(SourceError) as caught:
            ENGINE.placeholders("{% if x %}", "translations.de.body", html=False)
        assert caught.value.code == Code.TEMPLATE_SYNTAX
        assert caught.value.problem["path"] == "translations.de.body"


@pytest.mark.parametrize(
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
    assert ENGINE.placeholders(source, "body", html=True) == names


@pytest.mark.parametrize(
    "name", ["self", "source", "name", "env", "template", "ctx", "kwargs", "cls", "range", "fuel"]
)
def test_a_value_may_have_any_name(name: str) -> None:
    """A producer's name that is also one of Python's or the engine's breaks nothing."""
    assert ENGINE.body("{{ x }}", "body", {"x": 1, name: "value"}, html=False) == "1"


def test_one_render_leaves_nothing_for_the_next() -> None:
    """The process is used again: neither values nor definitions of another recipient stay."""
    text("{% set leaked = x %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}", x="SEKRET")
    for source in ("{{ leaked }}", "{{ x }}", "{{ m() }}"):
        assert "SEKRET" not in str(refused(source).message)
