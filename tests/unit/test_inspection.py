"""What is said of a source before it is rendered: unknown names, refused tags, placeholders."""

from tasks.errors import Problem
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.usage.kinds import printed_booleans, printed_without_text
from tests.support.cases import each

ENGINE = Engine(Limits())
NAMES = ("nope", "safe", "keys")
"""Filters that there are not."""


def problems(source: str, *, html: bool = True) -> list[Problem]:
    """Return the problems of a source that compiles."""
    names, found = ENGINE.inspect(source, "body", html=html, needs={})
    assert names is not None
    return found


def placeholders(source: str, **needs: list[str]) -> list[str] | None:
    """Return the placeholders of a source, given those of its partials."""
    return ENGINE.inspect(source, "body", html=True, needs=needs)[0]


@each(
    ("source", "names"),
    [
        ("{% macro m() %}{% endmacro %}{{ m }}{{ m() }}{{ n or m }}", ["m", "m"]),
        ("{% macro m() %}{{ caller }}{% endmacro %}{% call m() %}{% endcall %}", ["caller"]),
        ("{% for i in l %}{{ loop }}{{ loop.index }}{% endfor %}", ["loop"]),
        ("{% macro m() %}{% endmacro %}{% for m in l %}{{ m }}{% endfor %}", []),
        ("{% macro m() %}{% endmacro %}{% set m = 1 %}{{ m }}", []),
    ],
)
def test_what_prints_as_no_text_is_refused(source: str, names: list[str]) -> None:
    """The engine would print ``<macro m>`` and ``<loop 0/1>``."""
    assert [problem["message"].split("'")[1] for problem in problems(source)] == names


@each(
    "source",
    [
        *(f"{{{{ {f' {sign} '.join(['a'] * 3000)} }}}}" for sign in ("~", "+", "or", "and")),
        "{{ a" + "|upper" * 3000 + " }}",
        "{{ a" + "|default('x')" * 3000 + " }}",
        "{{ a" + "|sort" * 3000 + "|first }}",
        "{{ " + "a if b else " * 3000 + "c }}",
    ],
)
def test_a_long_chain_is_inspected(source: str) -> None:
    """Its tree is deep, and to follow it by recursion would end the render process."""
    assert placeholders(source) is not None
    assert printed_booleans(source) == []
    assert printed_without_text(source) == []


def test_a_function_that_is_not_called_is_a_variable() -> None:
    """The engine would print its own name for it."""
    assert placeholders("{{ range }} {{ dict.a }} {% for i in range(3) %}{% endfor %}") == [
        "dict.a",
        "range",
    ]
    assert placeholders("{% set n = namespace(a=1) %}{{ n.a }}{{ joiner() }}") == []


class TestUnknown:
    """An unknown filter or test is found wherever it is used."""

    @each(
        "source",
        [
            "{{ x|^nope }}",
            "{{ x|upper|^nope }}",
            "{{ x | ^nope(1) }}",
            "{{ x|\n  ^nope }}",
            "{% if false %}{{ x|^nope }}{% endif %}",
            "{% if true %}{% else %}{% if false %}{{ (x|^nope) ~ 'a' }}{% endif %}{% endif %}",
            "{% macro never() %}{{ x|^nope }}{% endmacro %}",
            "{% block b %}{{ x|^nope }}{% endblock %}",
            "{% for y in []|^nope %}{% endfor %}",
            "{% set y = x|^nope %}",
            "{% filter ^nope %}a{% endfilter %}",
            "{%- filter ^nope -%}a{% endfilter %}",
            "{% filter trim|^nope %}a{% endfilter %}",
            "{{ {'a': [x|^nope]} }}",
            "{{ 'a|b' ~ x|^nope }}",
            '{{ "it\'s"|^nope }}',
            "{{ x|^safe }}",
            "{{ x|^keys }}",
        ],
    )
    def test_filters(self, source: str) -> None:
        """In branches that no trial reaches too; the place is that of the name."""
        (problem,) = problems(source.replace("^", ""))
        before = source[: source.index("^")]
        assert problem["type"] == "unknown_filter"
        assert problem["path"] == "body"
        assert problem["line"] == before.count("\n") + 1
        assert problem["column"] == len(before) - (before.rfind("\n") + 1) + 1
        (name,) = (name for name in NAMES if source[len(before) + 1 :].startswith(name))
        assert problem["message"].startswith(f"unknown filter '{name}'")

    @each("source", ["{{ 'n' ~ ^not -1 }}", "{{ x == ^not - y }}", "{{ [1 + ^not[0]] }}"])
    def test_not_is_no_variable(self, source: str) -> None:
        """The engine takes it for the name of one after an operator."""
        (problem,) = problems(source.replace("^", ""))
        assert problem["column"] == source.index("^") + 1
        assert "'not' is where a value belongs" in problem["message"]

    @each(
        "source",
        [
            "{{ x is ^nope }}",
            "{{ x is not ^nope }}",
            "{{ x is\n not\n ^nope(1) }}",
            "{% if false %}{% if x is ^nope %}{% endif %}{% endif %}",
            "{% for y in [1] if y is ^nope %}{% endfor %}",
            "{{ 'a' if x is ^nope else 'b' }}",
            "{{ x is ^callable }}",
        ],
    )
    def test_tests(self, source: str) -> None:
        """With and without not."""
        (problem,) = problems(source.replace("^", ""))
        before = source[: source.index("^")]
        assert problem["type"] == "unknown_test"
        assert problem["line"] == before.count("\n") + 1
        assert problem["column"] == len(before) - (before.rfind("\n") + 1) + 1

    @each(
        "source",
        [
            "{{ 'a|nope' }}",
            "{{ \"a|nope\" }}{{ 'it is nope' }}",
            "{{ 'it\\'s|nope' }}",
            "{# {{ x|nope }} {{ x is nope }} #}",
            "{% raw %}{{ x|nope }}{% if x is nope %}{% endraw %}",
            "x|nope and x is nope",
            "<a href='a|nope'>this is nope</a>",
            "{{ x['a is b'] }}",
            "{{ x|upper|currency('EUR') }}{{ x is defined }}{{ x is not none }}",
            "{{ x|d('a') }}{{ x|default('a') }}{% filter trim %}{% endfilter %}",
            "{{ this_is }}{{ is_nope }}{{ filter }}",
        ],
    )
    def test_text_that_looks_like_a_filter_or_test_is_no_problem(self, source: str) -> None:
        """Text, strings, comments and raw blocks use nothing."""
        assert problems(source) == []

    def test_each_use_is_told(self) -> None:
        """An author mends all at once."""
        found = problems("{{ x|nope }}\n{{ y|nope }}{{ z is nada }}")
        assert [(problem["type"], problem["line"]) for problem in found] == [
            ("unknown_filter", 1),
            ("unknown_filter", 2),
            ("unknown_test", 2),
        ]

    def test_a_long_name_is_cut(self) -> None:
        """A message is a sentence, whatever the source."""
        (problem,) = problems(f"{{{{ x|{'a' * 1000} }}}}")
        assert len(problem["message"]) < 150


@each(
    "source",
    [
        "{% include x %}",
        "{% include ['a', 'b'] %}",
        "{% include 'a' ignore missing %}",
        "{% include 'a' ~ 'b' %}",
        "{% extends x %}",
        "{% import 'a' as b %}",
        "{% from 'a' import b %}",
        "{% if false %}{% include x %}{% endif %}",
    ],
)
def test_partials_are_used_in_one_way(source: str) -> None:
    """Which ones a text uses must be known before it is rendered."""
    (problem,) = problems(source)
    assert problem["type"] == "partial"
    assert problem["line"] == 1
    assert source[problem["column"] - 1 :].startswith("{% ")


def test_unsafe_places_are_those_of_html() -> None:
    """A text has no markup that a value could break out of."""
    source = "<a onclick='{{ x }}'>\n<p title={{ x }}>"
    assert [(problem["type"], problem["line"]) for problem in problems(source)] == [
        ("unsafe_placeholder", 1),
        ("unsafe_placeholder", 2),
    ]
    assert problems(source, html=False) == []


class TestPlaceholders:
    """The names that a source takes from its variables."""

    @each(
        ("source", "names"),
        [
            ("{{ a }}{% include 'p' %}", ["a", "user.name", "x"]),
            ("{% extends 'p' %}", ["user.name", "x"]),
            ("{% for x in xs %}{% include 'p' %}{% endfor %}", ["user.name", "xs"]),
            ("{% set x = 1 %}{% include 'p' %}", ["user.name"]),
            ("{% with user = owner %}{% include 'p' %}{% endwith %}", ["owner.name", "x"]),
            ("{% for x in xs %}{% endfor %}{% include 'p' %}", ["user.name", "x", "xs"]),
            ("{% include 'q' %}", []),
            ("{% raw %}{% include 'p' %}{% endraw %}{# {% include 'p' %} #}", []),
        ],
    )
    def test_those_of_partials_are_needed_where_they_stand(
        self, source: str, names: list[str]
    ) -> None:
        """A loop or a set around the tag gives a value to a name of the partial."""
        assert placeholders(source, p=["user.name", "x"]) == names

    @each(
        ("source", "names"),
        [
            ("{{ name.upper() }}", ["name"]),
            ("{{ user.name.upper() }}", ["user.name"]),
            ("{{ user . name\n. upper () }}", ["user.name"]),
            ("{{ user.upper }}", ["user.upper"]),
            ("{{ order.items }}{{ order.lines.items() }}", ["order.items", "order.lines"]),
            ("{{ x.yy() }}{{ x.y }}", ["x", "x.y"]),
        ],
    )
    def test_methods_are_no_members(self, source: str, names: list[str]) -> None:
        """What is called is the engine's; what is read is the producer's."""
        assert placeholders(source) == names

    def test_names_of_the_engine_are_none(self) -> None:
        """A producer cannot give them."""
        source = (
            "{% for x in range(3) %}{{ loop.index }}{% endfor %}{{ dict(a=1) }}"
            "{% macro m() %}{{ caller() }}{% endmacro %}{% block b %}{{ self.b }}{% endblock %}"
            "{{ namespace() }}{{ cycler([1]) }}{{ joiner() }}"
        )
        assert placeholders(source) == []

    def test_a_source_that_does_not_compile_has_none(self) -> None:
        """There is one problem, with its place; partials in it change nothing about that."""
        for source in ("a\n{% if %}", "a\n{% if %}{% include 'p' %}"):
            names, found = ENGINE.inspect(source, "body", html=True, needs={"p": ["a", "b"]})
            assert names is None
            assert [(problem["type"], problem["line"]) for problem in found] == [
                ("syntax_error", 2)
            ]

    def test_partials_do_not_move_the_place_of_an_error(self) -> None:
        """What is put in for a partial may be longer than its tag."""
        source = "{% include 'p' %}{{ }}"
        _, found = ENGINE.inspect(source, "body", html=True, needs={"p": ["a" * 50] * 3})
        assert found[0]["column"] == source.index("}}", 20) + 1

    def test_autoescape_is_not_offered(self) -> None:
        """Escaping follows the type of the template."""
        source = "a\n{% autoescape false %}{% endautoescape %}"
        names, found = ENGINE.inspect(source, "subject", html=False, needs={})
        assert names is None
        assert [(problem["type"], problem["path"]) for problem in found] == [
            ("autoescape", "subject")
        ]
