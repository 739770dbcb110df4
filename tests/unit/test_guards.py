"""No placeholder without a value is ever a blank, whatever the template does with it."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import pytest

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.filters.guards import guarded_filters, guarded_tests, lacks
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters import FILTERS as LOCALE_FILTERS
from tasks.rendering.values import Array, wrapped
from tests.support.cases import each
from tests.support.sources import body_of, source_of

ENGINE = Engine(Limits())
KINDS: Final = ("in_app", "sms")
MISSING: Final = ("x", "o.x", "o.a.x", "xs[5]", "o['x']", "xs[0].x")

# Every filter of the engine and of this service, with a value and arguments that fit.
FILTERS: dict[str, tuple[Any, str]] = {
    "abs": (-1, ""),
    "attr": ({"a": 1}, "('a')"),
    "batch": ([1], "(1)"),
    "bool": (1, ""),
    "capitalize": ("a", ""),
    "chain": ([1], "([2])"),
    "count": ([1], ""),
    "currency": (1, "('EUR')"),
    "date": ("2026-01-31", ""),
    "datetime": ("2026-01-31T12:00:00Z", ""),
    "dictsort": ({"a": 1}, ""),
    "e": ("a", ""),
    "escape": ("a", ""),
    "filesizeformat": (5, ""),
    "first": ([1], ""),
    "float": (1, ""),
    "format": ("%s", "(1)"),
    "groupby": ([{"a": 1}], "('a')"),
    "indent": ("a", "(2)"),
    "int": (1, ""),
    "items": ({"a": 1}, ""),
    "join": (["a"], "(',')"),
    "last": ([1], ""),
    "length": ([1], ""),
    "lines": ("a", ""),
    "list": (["a"], ""),
    "lower": ("a", ""),
    "map": (["a"], "('upper')"),
    "max": ([1], ""),
    "min": ([1], ""),
    "number": (1, ""),
    "percent": (1, ""),
    "plural": (1, "(one='a', other='b')"),
    "pluralize": (2, ""),
    "pprint": (1, ""),
    "reject": ([2], "('odd')"),
    "rejectattr": ([{"a": 0}], "('a')"),
    "replace": ("a", "('a', 'b')"),
    "reverse": ([1], ""),
    "round": (1.5, ""),
    "select": ([1], "('odd')"),
    "selectattr": ([{"a": 1}], "('a')"),
    "slice": ([1], "(1)"),
    "sort": ([1], ""),
    "split": ("a b", ""),
    "string": (1, ""),
    "striptags": ("a", ""),
    "sum": ([1], ""),
    "time": ("2026-01-31T12:00:00Z", ""),
    "title": ("a", ""),
    "tojson": (1, ""),
    "trim": ("a", ""),
    "truncate": ("a", "(length=10)"),
    "unique": ([1], ""),
    "upper": ("a", ""),
    "urlencode": ("a", ""),
    "wordwrap": ("a", "(width=10)"),
    "zip": ([1], "([2])"),
}
GIVING_ARRAYS: Final = {
    *("batch", "bool", "chain", "dictsort", "groupby", "items", "lines", "map", "reject"),
    *("rejectattr", "reverse", "select", "selectattr", "slice", "sort", "split", "unique", "zip"),
}
ASKING_FILTERS: Final = {"d", "default"}
REMOVED_FILTERS: Final = {"safe"}

# Every test of the engine, with a value and arguments that fit.
TESTS: dict[str, tuple[Any, str]] = {
    "boolean": (True, ""),
    "divisibleby": (4, "(2)"),
    "endingwith": ("ab", "('b')"),
    "eq": (1, "(1)"),
    "equalto": (1, "(1)"),
    "escaped": ("a", ""),
    "even": (2, ""),
    "false": (False, ""),
    "filter": ("upper", ""),
    "float": (1.5, ""),
    "ge": (1, "(1)"),
    "greaterthan": (1, "(1)"),
    "gt": (1, "(1)"),
    "in": (1, "([1])"),
    "int": (1, ""),
    "integer": (1, ""),
    "iterable": ([1], ""),
    "le": (1, "(1)"),
    "lessthan": (1, "(1)"),
    "lower": ("a", ""),
    "lt": (1, "(1)"),
    "mapping": ({"a": 1}, ""),
    "ne": (1, "(1)"),
    "number": (1, ""),
    "odd": (1, ""),
    "safe": ("a", ""),
    "sameas": (1, "(1)"),
    "sequence": ([1], ""),
    "startingwith": ("ab", "('a')"),
    "string": ("a", ""),
    "test": ("odd", ""),
    "true": (True, ""),
    "upper": ("A", ""),
}
ASKING_TESTS: Final = {"defined", "none", "undefined"}

OPERATORS: Final = (
    *("{} + 1", "1 + {}", "{} - 1", "{} * 2", "'a' * {}", "{} / 2", "2 / {}", "{} // 2", "{} % 2"),
    *("{} ** 2", "-{}", "{} ~ 'a'", "'a' ~ {}", "{} == 1", "1 == {}", "{} != 1", "{} < 1"),
    *("1 < {}", "{} <= 1", "{} > 1", "1 >= {}", "{} in [1]", "1 in {}", "{} not in [1]"),
    *("{} and true", "true and {}", "false or {}", "{} if true else 1"),
    *("1 if false else {}", "{}[0]", "{}.y", "{}['y']", "{}[1:]"),
    *("{}.y()", "[1][{}]", "{{'a': 1}}[{}]", "range({})", "'%s' % {}", "'%s'|format({})"),
    *("'a'|replace('a', {})", "[1]|join({})", "[1]|zip({})", "[1]|chain({})", "y|default({})"),
    *("[{}]", "[[{}]]", "({},)", "{{'k': {}}}", "{{{}: 1}}", "dict(k={})", "[{}]|join"),
    *("[{}]|first", "[{}]|last", "[{}]|min", "[{}]|sum", "[1, {}]|sum", "[{}]|pprint"),
    *("[{}]|map('upper')|join", "[{}]|zip([1])", "[{}]|chain([1])", "[{}]|reverse", "[{}]|sort"),
    *("[{}]|batch(1)", "[{}]|slice(1)", "[{}]|list", "{{'k': {}}}|items", "{{'k': {}}}|dictsort"),
    *("[{}]|select('eq', 1)|join", "[1]|select('eq', {})|join", "[{}]|select('<', 1)|join"),
    *("[{}]|reject('string')|join", "1 is eq({})", "1 is in([{}])", "namespace(k={}).k"),
    *("cycler([{}]).next()", "[{}] + [1]", "[{}] * 2"),
)
BLOCKS: Final[tuple[str, ...]] = (
    "{{% for y in {} %}}a{{% endfor %}}",
    "{{% for y in {} %}}a{{% else %}}b{{% endfor %}}",
    "{{% for y in [{}] %}}{{{{ y }}}}{{% endfor %}}",
    "{{% for y, z in {}|items %}}a{{% endfor %}}",
    "{{% for y, z in {}.items() %}}a{{% endfor %}}",
    "{{% set y = {} %}}{{{{ y }}}}",
    "{{% set y %}}{{{{ {} }}}}{{% endset %}}{{{{ y }}}}",
    "{{% with y = {} %}}{{{{ y }}}}{{% endwith %}}",
    "{{% macro m(a) %}}{{{{ a }}}}{{% endmacro %}}{{{{ m({}) }}}}",
    "{{% macro m(a={}) %}}{{{{ a }}}}{{% endmacro %}}{{{{ m() }}}}",
    "{{% macro m() %}}{{{{ caller() }}}}{{% endmacro %}}{{% call m() %}}{{{{ {}}}}}{{% endcall %}}",
    "{{% filter upper %}}{{{{ {} }}}}{{% endfilter %}}",
    "{{% block b %}}{{{{ {} }}}}{{% endblock %}}",
)
ASKING: Final[Mapping[str, str]] = {
    "{{{{ {} or 1 }}}}": "1",
    "{{{{ 'a' if {} else 'b' }}}}": "b",
    "{{{{ 'a' if not {} }}}}": "a",
    "{{% if {} %}}a{{% endif %}}": "",
    "{{% if not {} %}}a{{% endif %}}": "a",
    "{{% if false %}}a{{% elif {} %}}b{{% else %}}c{{% endif %}}": "c",
    "{{% for y in [1] if {} %}}a{{% endfor %}}": "",
}
GUARDED: Final = {*LOCALE_FILTERS, *guarded_filters(escapes=True), *guarded_tests()} - {
    *ASKING_FILTERS,
    *ASKING_TESTS,
}
VALUES: dict[str, Any] = {"o": {"a": {}}, "xs": [{}]}


def rendered(source: str, kind: str = "in_app", **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a body."""
    return body_of(ENGINE, source_of(source, kind), VALUES | values)


def refused(source: str, kind: str = "in_app", **values: Any) -> SourceError:  # noqa: ANN401 - any JSON value
    """Return the error of a body that does not render."""
    with pytest.raises(SourceError) as caught:
        rendered(source, kind, **values)
    return caught.value


def unknown(source: str) -> bool:
    """Tell whether a source has an unknown filter or test."""
    _, problems = ENGINE.inspect(source, "body", html=False, needs={})
    return any(problem["type"].startswith("unknown_") for problem in problems)


def test_the_tables_are_those_of_this_engine() -> None:
    """Another version may have others: look them up, and then change this number."""
    assert version("minijinja") == "3.0.5"
    assert not any(unknown(f"{{{{ 1|{name} }}}}") for name in {*FILTERS, *ASKING_FILTERS})
    assert not any(unknown(f"{{{{ 1 is {name} }}}}") for name in {*TESTS, *ASKING_TESTS})
    assert all(unknown(f"{{{{ 1|{name} }}}}") for name in REMOVED_FILTERS)
    filters = {*LOCALE_FILTERS, *guarded_filters(escapes=True)}
    assert {*FILTERS, *ASKING_FILTERS} >= filters
    assert {*TESTS, *ASKING_TESTS} >= {name for name in guarded_tests() if name.isalpha()}


@each("name", FILTERS)
def test_a_filter_works_and_refuses_what_is_missing(name: str) -> None:
    """With a value there is text; without one there is an error that names it, and the place."""
    value, arguments = FILTERS[name]
    for kind in KINDS:
        shown = "|tojson" if name in GIVING_ARRAYS else ""
        assert rendered(f"{{{{ x|{name}{arguments}{shown} }}}}", kind, x=value).strip()
        for missing in MISSING:
            error = refused(f"\n{{{{ {missing}|{name}{arguments} }}}}", kind)
            assert error.code == Code.VARIABLES_INVALID
            assert error.problem["line"] == 2
            if name in GUARDED:
                assert error.problem["type"] == "undefined"
                assert missing in error.message or "[" in missing


@each("name", TESTS)
def test_a_test_works_and_refuses_what_is_missing(name: str) -> None:
    """False would be an answer about a value that nobody knows."""
    value, arguments = TESTS[name]
    source = f"{{{{ x is {name}{arguments} }}}}"
    assert rendered(source, x=value) in {"True", "False"}
    for negation in ("", "not "):
        for missing in MISSING:
            error = refused(f"\n{{% if {missing} is {negation}{name}{arguments} %}}{{% endif %}}")
            assert error.code == Code.VARIABLES_INVALID
            assert error.problem["line"] == 2
            if name in GUARDED:
                assert error.problem["type"] == "undefined"
                assert missing in error.message or "[" in missing


@each("missing", MISSING)
@each("operator", OPERATORS)
def test_an_operator_refuses_what_is_missing(operator: str, missing: str) -> None:
    """Whichever side it stands on, and in lists and objects that the template makes."""
    for kind in KINDS:
        error = refused(f"{{{{ {operator.format(missing)} }}}}", kind)
        assert error.code == Code.VARIABLES_INVALID


@each("missing", MISSING)
@each("block", BLOCKS)
def test_a_block_refuses_what_is_missing(block: str, missing: str) -> None:
    """Conditions, loops, assignments, macros and captures."""
    assert refused(block.format(missing)).code == Code.VARIABLES_INVALID


@each("missing", MISSING)
@each(("source", "expected"), ASKING.items())
def test_a_condition_may_ask_for_what_is_missing(source: str, expected: str, missing: str) -> None:
    """As for an empty value: a condition prints nothing of it."""
    assert rendered(source.format(missing)) == expected


@each(
    "source",
    [
        "{{ people|map(attribute='name')|join(', ') }}",
        "{{ people|map(attribute='name')|list }}",
        "{{ people|map(attribute='name')|first }}{{ people|map(attribute='name')|last }}",
        "{{ people|map(attribute='name')|map('upper')|join }}",
        "{{ people|sum(attribute='age') }}",
        "{{ people|sum('age') }}",
        "{% for group in people|groupby('name') %}{{ group.grouper }}{% endfor %}",
        "{{ people|selectattr('age', 'gt', 5)|map(attribute='name')|join }}",
        "{{ people|selectattr('age', '>', 5)|map(attribute='name')|join }}",
        "{{ people|zip(people|map(attribute='name'))|tojson }}",
        "{% for person in people %}{{ person.name }}{% endfor %}",
        "{% for person in people %}{{ person.name|e }}{% endfor %}",
    ],
)
def test_a_member_that_one_item_lacks_is_missed(source: str) -> None:
    """One person of many without a name would be a gap in a list, one amount too few in a sum."""
    people = [{"name": "Ann", "age": 30}, {"name": "Bo", "age": 7}]
    assert rendered(source, people=people)
    for kind in KINDS:
        error = refused(source, kind, people=[*people, {}])
        assert error.code == Code.VARIABLES_INVALID


@each("missing", MISSING)
def test_default_and_questions_are_for_what_is_missing(missing: str) -> None:
    """They answer, and nothing else does; null counts as left out, so that it may be asked for."""
    for name in ASKING_FILTERS:
        assert rendered(f"{{{{ {missing}|{name}('d') }}}}") == "d"
        assert rendered(f"a{{{{ {missing}|{name} }}}}b") == "ab"
        assert rendered(f"{{{{ {missing}|{name}(1)|currency('EUR') }}}}") == "€1.00"
    asked = f"{{{{ {missing} is defined }}}} {{{{ {missing} is undefined }}}}"
    assert rendered(f"{asked} {{{{ {missing} is none }}}}") == "False True True"


def test_a_missing_value_is_named_with_the_place() -> None:
    """Among several uses of the same filter or test, the one that failed is shown."""
    for source, place in (
        ("{{ 'a'|e }}\n{{ 'b'|e }}{{ user.name|e }}", (2, 25)),
        ("{{ 1 is eq(1) }}\n{{ user.name is eq(1) }}{{ 2 is eq(2) }}", (2, 17)),
        ("{{ 1 is not eq(1) }}\n{{ user.name is not eq(1) }}", (2, 21)),
        ("{% filter e %}a{% endfilter %}{{ user.name|e }}", (1, 44)),
    ):
        problem = refused(source, user={}).problem
        assert (problem["line"], problem["column"]) == place
        assert "user.name" in problem["message"]


def test_a_filter_that_another_uses_has_its_place() -> None:
    """Used by its name in a text, it stands nowhere itself."""
    problem = refused("{{ 'a'|e }}{{ [x]|map('e')|join }}").problem
    assert (problem["line"], problem["column"]) == (1, 19)


@each(
    ("source", "code"),
    [
        ("{{ 1|e(2) }}", Code.TEMPLATE_SYNTAX),
        ("{{ 'a'|truncate(nope=1) }}", Code.TEMPLATE_SYNTAX),
        ("{{ xs|groupby }}", Code.TEMPLATE_SYNTAX),
        ("{% if 1 is eq %}{% endif %}", Code.TEMPLATE_SYNTAX),
        ("{{ 1|join }}", Code.VARIABLES_INVALID),
        ("{{ 1|chain([2]) }}", Code.VARIABLES_INVALID),
        ("{{ [2]|zip(1) }}", Code.VARIABLES_INVALID),
        ("{{ 5|truncate }}", Code.VARIABLES_INVALID),
        ("{{ ['a']|sum }}", Code.VARIABLES_INVALID),
    ],
)
def test_misuse_is_told_with_the_name_and_the_place(source: str, code: Code) -> None:
    """What is wrong with every value is the template's fault."""
    error = refused(source)
    assert error.code == code
    assert error.problem["line"] == 1
    assert error.problem["message"].split(":")[0] in source


@each(
    ("source", "expected"),
    [
        ("{{ ['<', '<'|e]|join('&') }}{{ (['<']|join)|length }}", "&lt;&amp;&lt;1"),
        (
            "{{ ['<', '<'|e]|join('&'|e) }}{{ '<'|join }}{{ {'&': 1}|join }}",
            "&lt;&amp;&lt;&lt;&amp;",
        ),
        ("{{ [{'a': '<'}]|map(attribute='a')|join|e }}", "&lt;"),
        ("{{ '<'|e|e }}", "&lt;"),
        ("{{ 5|wordwrap }}{{ 1.5|wordwrap }}", "51.5"),
        ("{{ 'aa bb'|wordwrap(width=2) }}", "aa\nbb"),
        ("{{ 'aaaa bbbb cccc'|truncate(length=8) }}", "aaaa..."),
        ("{{ 'a b&'|urlencode }}{{ {'a': 'b c'}|urlencode }}", "a%20b%26a=b%20c"),
        ("{{ [1, 2]|sum }}{{ [{'a': 1}]|sum(attribute='a') }}{{ [{'a': 1}]|sum('a', 5) }}", "316"),
        ("{{ [1]|sum(start=5) }}{{ []|sum }}{{ []|join }}", "60"),
        ("{% for a, b in [1]|zip([2]) %}{{ a }}{{ b }}{% endfor %}", "12"),
        ("{% for a in [1]|chain([2]) %}{{ a }}{% endfor %}", "12"),
        (
            "{% for g in [{'k': 1}]|groupby('k') %}{{ g.grouper }}{{ g.list[0].k }}{% endfor %}",
            "11",
        ),
        (
            "{% for k, items in [{'k': 1}]|groupby('k') %}{{ k }}{{ items|length }}{% endfor %}",
            "11",
        ),
        ("{{ [{}]|groupby('k', default='d')|map(attribute='grouper')|join }}", "d"),
        ("{{ [1, 2, 3]|select('>', 1)|join }}{{ [1, 2]|reject('==', 1)|join }}", "232"),
        ("{{ 2 is even }}{{ 3 is in [1, 2] }}{{ '10' is divisibleby 5 }}", "TrueFalseFalse"),
    ],
)
def test_guarded_filters_give_what_the_engines_own_give(source: str, expected: str) -> None:
    """Guarding changes what is refused, and nothing else."""
    assert rendered(source) == expected


def test_results_are_out_of_reach_too() -> None:
    """A list of Python's own would have methods, which print as addresses of memory."""
    for source in ("[1]|zip([2])", "[1]|chain([2])", "[{'a': 1}]|groupby('a')"):
        for step in ("", "[0]"):
            for name in ("append", "sort", "count", "index"):
                refused(f"{{{{ ({source}){step}.{name} }}}}")


@each(
    ("value", "expected"),
    [
        (None, True),
        ([None], True),
        ((1, None), True),
        ([[None]], True),
        ({"a": None}, True),
        ({None: 1}, True),
        ({"a": [{"b": None}]}, True),
        ("", False),
        (0, False),
        ([], False),
        ([1, {"a": ()}], False),
        (wrapped(None), False),
        (Array([None]), False),
    ],
)
def test_missing_values_are_recognized_at_any_depth(value: object, *, expected: bool) -> None:
    """Empty is not missing, and null is something that a producer says."""
    assert lacks(value) is expected
