"""Comparisons are never silently wrong, and numbers are exact."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.frames import encode
from tasks.rendering.limits import Limits
from tasks.rendering.rewriting import Edits, rewritten
from tasks.rendering.trials.trial import try_out
from tasks.rendering.variables import Schema
from tests.support.cases import each
from tests.support.sources import declared_body, rendered_body, source_of

ENGINE: Final = Engine(Limits())
DECIMAL: Final = [{"name": "total", "type": "decimal"}]
SIGNS: Final = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}


def text(source: str, values: Mapping[str, Any], declared: Sequence[Mapping[str, Any]] = ()) -> str:
    """Render a text body on the path of a render."""
    return declared_body(ENGINE, source_of(source, "sms"), Schema(declared), values)


def refused(source: str, values: Mapping[str, Any]) -> SourceError:
    """Return the error of a body that does not render."""
    with pytest.raises(SourceError) as caught:
        text(source, values)
    return caught.value


@each("sign", SIGNS)
def test_a_text_is_not_compared_with_a_number(sign: str) -> None:
    """In either order, whichever is in the template, in loops and partials; with its place."""
    for source, values in (
        (f"\n{{% if a {sign} 50 %}}x{{% endif %}}", {"a": "12.50"}),
        (f"\n{{% if '50' {sign} a %}}x{{% endif %}}", {"a": 12}),
        (f"\n{{{{ 'x' if a {sign} b }}}}", {"a": "12", "b": 12}),
        (f"\n{{% for i in a if i.n {sign} 1 %}}x{{% endfor %}}", {"a": [{"n": "1"}]}),
        (f"\n{{% set x = a %}}{{{{ 'x' if (x {sign} (2)) }}}}", {"a": "1"}),
    ):
        error = refused(source, values)
        assert error.code == Code.VARIABLES_INVALID
        assert "a text cannot be compared with a number" in error.message
        assert error.problem["line"] == 2
        assert error.problem["column"] > 1
        assert "12" not in error.message


@each(
    ("source", "values"),
    [
        ("{{ xs|sort|join }}", {"xs": [1, "2"]}),
        ("{{ xs|sort|join }}", {"xs": ["9", "10"]}),
        ("{{ xs|min }}", {"xs": [1, "2"]}),
        ("{{ xs|max }}", {"xs": ["100", "20"]}),
        ("{{ xs|sort(attribute='n')|length }}", {"xs": [{"n": 1}, {"n": "2"}]}),
        ("{{ xs|sum }}", {"xs": [1, "2"]}),
        ("{{ xs|select('gt', 1)|list }}", {"xs": ["2"]}),
        ("{{ xs|selectattr('n', '>', 1)|list }}", {"xs": [{"n": "2"}]}),
        ("{{ xs|max }}", {"xs": [True, "false"]}),
        ("{{ xs|min }}", {"xs": [False, 2]}),
        ("{{ xs|sort(attribute='n')|length }}", {"xs": [{"n": True}, {"n": "a"}]}),
        ("{{ o|dictsort(by='value')|length }}", {"o": {"a": True, "b": "x"}}),
        ("{{ 'y' if 1 in xs }}", {"xs": ["1"]}),
        ("{{ 'y' if '1' not in xs }}", {"xs": [1]}),
        ("{{ 'y' if x is gt(1) }}", {"x": "2"}),
        ("{{ 'y' if x is eq('2') }}", {"x": 2}),
        ("{{ 'y' if '9' < x }}", {"x": "10"}),
        ("{{ 'y' if x > 1 }}", {"x": {}}),
        ("{{ 'y' if x > [1] }}", {"x": 1}),
        ("{{ 'y' if 1 < x < '3' }}", {"x": 2}),
        ("{{ 'y' if x == true }}", {"x": "true"}),
        ("{{ 'y' if false != x }}", {"x": "false"}),
        ("{{ 'y' if x == true }}", {"x": ""}),
        ("{{ 'y' if x == true }}", {"x": 2}),
        ("{{ 'y' if x < true }}", {"x": 2}),
        ("{{ 'y' if x in [true] }}", {"x": "true"}),
        ("{{ 'y' if x not in [false, true] }}", {"x": "true"}),
        ("{{ 'y' if x in [1, true] }}", {"x": "true"}),
        ("{{ 'y' if x == y }}", {"x": "true", "y": True}),
        ("{{ 'y' if x is true }}", {"x": "true"}),
        ("{{ 'y' if x is not false }}", {"x": "false"}),
        ("{{ 'y' if x is eq(true) }}", {"x": "true"}),
        ("{{ xs|select('eq', true)|list }}", {"xs": ["true"]}),
        ("{{ xs|selectattr('n', 'true')|list }}", {"xs": [{"n": "true"}]}),
        ("{{ 'y' if xs == [1] }}", {"xs": ["1"]}),
        ("{{ 'y' if o == {'n': true} }}", {"o": {"n": "true"}}),
        ("{% set f = x %}{% for i in [1] if f == true %}y{% endfor %}", {"x": "true"}),
        ("{% macro m(f) %}{{ 'y' if f == true }}{% endmacro %}{{ m(x) }}", {"x": "true"}),
        ("{{ 'y' if x > none }}", {"x": 5}),
        ("{{ 'y' if x < y }}", {"x": "2026-12-01", "y": "2026-3-1"}),
        ("{{ 'y' if x < '02.03.2026' }}", {"x": "01.12.2026"}),
        ("{{ 'y' if x is lt('10:00') }}", {"x": "9:30"}),
    ],
)
def test_what_has_no_order_is_refused(source: str, values: dict[str, Any]) -> None:
    """And numbers in texts are not put in the order of their first digits."""
    assert refused(source, values).code == Code.VARIABLES_INVALID


@each(
    ("source", "expected"),
    [
        ("{{ 'y' if a == 'x' else 'n' }}", "y"),
        ("{{ 'y' if a < 'y' else 'n' }}", "y"),
        ("{{ 'y' if n == 3.0 and n != 4 and n in [1, 3] else 'n' }}", "y"),
        ("{{ 'y' if 1 < n <= 3 else 'n' }}", "y"),
        ("{{ 'y' if a in 'xyz' and a not in ['b'] else 'n' }}", "y"),
        ("{{ 'y' if o == {'k': 1} and xs == [1, 2] and o.k == xs[0] else 'n' }}", "y"),
        ("{{ 'y' if none == none and a != none else 'n' }}", "y"),
        ("{{ 'y' if t == true and t != false else 'n' }}", "y"),
        ("{{ 'y' if t in [true, 'true', 1] and 1 == true and 0 != true else 'n' }}", "y"),
        ("{{ 'y' if t is true and xs != [2, 1] and a not in ['true'] else 'n' }}", "y"),
        ("{{ 'y' if 'k' in o else 'n' }}{{ 'y' if '2026-01-01' < '2026-02-01' else 'n' }}", "yy"),
        ("{{ 'y' if '09:30' < '10:00' and '1.2.2026' != '01.02.2026' else 'n' }}", "y"),
        ("{{ xs|sort|join(',') }}{{ ['b', 'a']|sort|join }}{{ xs|max }}", "1,2ab2"),
        ("{% if (n > 1) == (n < 5) %}y{% endif %}{{ '<b> == {{' }}", "y<b> == {{"),
        ("{% if a[:1] == 'x' %}y{% endif %}{{ a[:1] }}", "yx"),
    ],
)
def test_what_has_an_order_is_compared(source: str, expected: str) -> None:
    """As the engine does it."""
    values = {"a": "x", "n": 3, "o": {"k": 1}, "xs": [1, 2], "t": True}
    assert text(source, values) == expected


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9, width=32)),
    st.sampled_from(sorted(SIGNS)),
)
def test_a_decimal_is_compared_as_a_number(number: Decimal, other: float, sign: str) -> None:
    """However it is given."""
    exact = Decimal(other if isinstance(other, int) else repr(other))
    expected = "y" if SIGNS[sign](number, exact) else "n"
    source = f"{{{{ 'y' if total {sign} other else 'n' }}}}"
    assert text(source, {"total": f"{number:f}", "other": other}, DECIMAL) == expected


@each("given_", ["12.50", "0.10", "123456789012345678901234567890.5", "-7", 12.5, 3, 2**70])
def test_a_decimal_is_exact(given_: str | float) -> None:
    """Where it is printed, in filters and in JSON."""
    plain = given_ if isinstance(given_, str) else str(given_)
    assert text("{{ total }}{{ total|string }}", {"total": given_}, DECIMAL) == plain * 2
    as_json = f'"{given_}"' if isinstance(given_, str) else plain
    assert text("{{ total|tojson }}", {"total": given_}, DECIMAL) == as_json
    assert text("{{ total|number }}", {"total": given_}, DECIMAL) == text(
        "{{ total|number }}", {"total": given_}
    )


@each(
    ("source", "expected"),
    [
        ("{{ 'y' if total }}{{ 'n' if not zero }}", "yn"),
        (
            "{{ total|round(1) }} {{ total|round }} {{ total|int }} {{ total|abs }}",
            "12.4 12 12 12.35",
        ),
        ("{{ 'y' if total is number and total is not string and zero is even }}", "y"),
        (
            "{{ xs|sort|join(' ') }} {{ xs|min }} {{ xs|max }} {{ xs|sum }}",
            "2 10.50 100 2 100 112.5",
        ),
        ("{{ xs|sort(reverse=true)|first }}{{ xs|unique|list }}", "1002, 100, and 10.50"),
        (
            "{{ items|sum(attribute='n') }} {{ items|selectattr('n', 'gt', 5)|length }}",
            "9.75 1",
        ),
        ("{% for i in items if i.n >= 9 %}{{ i.n }}{% endfor %}", "9.50"),
        ("{{ 'y' if total == '12.35'|float }}", "y"),
    ],
)
def test_decimals_are_numbers_to_filters_and_tests(source: str, expected: str) -> None:
    """In arrays and their items too."""
    names = ["total", "zero", "xs[]", "items[].n"]
    values = {
        "total": "12.35",
        "zero": "0.00",
        "xs": ["2", "100", "10.50"],
        "items": [{"n": "9.50"}, {"n": 0.25}],
    }
    assert text(source, values, [{"name": name, "type": "decimal"} for name in names]) == expected


@each("value", ["", "x", "1e5", "1,5", " 1", "0x1", True, [], {}])
def test_what_is_no_decimal_is_refused(value: object) -> None:
    """Before the render, with what was expected."""
    _, (problem,) = Schema(DECIMAL).bind({"total": value})
    assert problem["message"] == "expected a number, or text such as '12.50'"


@each(
    ("source", "kind"),
    [
        ("{% if x > 50 %}a{% endif %}", "string"),
        ("{% if x == 'a' %}a{% endif %}", "integer"),
        ("{% if x is eq(5) %}a{% endif %}", "date"),
        ("{% if 'a' == x %}a{% endif %}", "decimal"),
        ("{% if x|length == 'a' %}a{% endif %}", "string"),
        ("{% set y = x %}{% if y != 5 %}a{% endif %}", "email"),
    ],
)
def test_types_tell_at_publish(source: str, kind: str) -> None:
    """Whatever else is declared; with the place."""
    declared = [{"name": "x", "type": kind}, {"name": "other", "type": "any"}]
    (problem,) = try_out(ENGINE, source_of(f"\n{source}"), declared, lambda: None)
    assert "a text cannot be compared with a number" in problem["message"]
    assert problem["line"] == 2


def test_types_of_items_tell_at_publish() -> None:
    """In loops."""
    source = source_of("{% for i in xs if i.n > 5 %}a{% endfor %}")
    declared = [{"name": "xs[].n", "type": "string"}]
    assert len(try_out(ENGINE, source, declared, lambda: None)) == 1
    assert try_out(ENGINE, source, [{"name": "xs[].n", "type": "decimal"}], lambda: None) == []


WHOLE: Final = (1812345678901234567, -9223372036854775808, 2**63 - 1, 2**63, 2**64, 2**64 + 1)


@each("number", [*WHOLE, 2**200])
def test_integers_are_exact(number: int) -> None:
    """Printed, compared, and in JSON, however long."""
    source = (
        "{{ n }} {{ n|tojson }} {{ n ~ '' }} {{ 'y' if n == same and n != other and n == "
        f"{abs(number)} * {1 if number > 0 else -1}"
        " else 'n' }}"
    )
    if abs(number) > 2**62:
        source = source.replace(f" and n == {abs(number)} * {1 if number > 0 else -1}", "")
    values = {"n": number, "same": number, "other": number + 1}
    assert text(source, values) == f"{number} {number} {number} y"
    positive = "{{ 'y' if n > 100 else 'n' }}"
    assert text(positive, values) == ("y" if number > 100 else "n")


@each("number", WHOLE)
def test_integers_are_exact_in_filters_and_literals(number: int) -> None:
    """CLDR's digits are those that were sent."""
    assert text("{{ n|number }}", {"n": number}) == f"{number:,}"
    if number > 0:
        source = f"{{{{ 'y' if n == {number} and n != {number + 1} and n < {number + 1} }}}}"
        assert text(source, {"n": number}) == "y"


@each(
    "source",
    [
        "{{ a == b }} {{ missing }}",
        "{{ 'é' if a == b or a < b }}{{ 'ü' ~ missing }}",
        "{% if a[1:] == b[:2] %}{% endif %}\n{{ missing }}",
    ],
)
def test_places_are_those_of_the_source(source: str) -> None:
    """Not of what the engine compiles in its place."""
    error = refused(source, {"a": "x", "b": "y"})
    problem = error.problem
    line = source.split("\n")[problem["line"] - 1]
    assert line[problem["column"] - 1 :].startswith(("missing", "'ü' ~ missing"))
    assert "__" not in error.message + problem["snippet"]


def test_a_source_without_comparisons_is_compiled_as_it_is() -> None:
    """Nothing is slower for most."""
    for source in (
        "{{ a }}",
        "{{ 'a < b' }}",
        "a < b {{ c }}",
        "{{ loop.index == 1 }}",
        "{{ a is b }}",
    ):
        assert rewritten(source, Edits()).text == source


@each(
    ("kind", "expression", "message"),
    [
        ("string", "x == true", "a text cannot be compared with a boolean"),
        ("boolean", "x != 'true'", "a text cannot be compared with a boolean"),
        ("string", "x in [true]", "a text cannot be compared with a boolean"),
        ("integer", "x == true", "a number cannot be compared with a boolean"),
        ("boolean", "1 == x", "a number cannot be compared with a boolean"),
        ("string", "x is true", "a text cannot be compared with a boolean"),
    ],
)
def test_a_publish_refuses_booleans_among_others(kind: str, expression: str, message: str) -> None:
    """As far as the types tell, before any reader gets the other branch."""
    source = source_of(f"{{{{ 'y' if {expression} else 'n' }}}}", "sms")
    problems = try_out(ENGINE, source, [{"name": "x", "type": kind}], lambda: None)
    assert any(message in problem["message"] for problem in problems)


@each(
    ("kind", "expression", "message"),
    [
        ("array", "x > 2", "an array cannot be compared with a number"),
        ("array", "2 < x", "items | length > 2"),
        ("array", "x == ''", "whether it has any by {% if items %}"),
        ("array", "x is ge(2)", "an array cannot be compared with a number"),
        ("array", "x + 2 > 3", "+ is for numbers, not for an array"),
        ("array", "x - y", "- is for numbers, not for an array"),
        ("array", "x * 2", "* is for numbers, not for an array"),
        ("object", "x > 2", "an object cannot be compared with a number: name one of its members"),
        ("object", "x == 'a'", "an object cannot be compared with a text"),
        ("object", "x != true", "an object cannot be compared with a boolean"),
        ("object", "x + y", "+ is for numbers, not for an object"),
    ],
)
def test_a_publish_refuses_arrays_and_objects_among_others(
    kind: str, expression: str, message: str
) -> None:
    """Each render would be refused, or take the same branch whatever the array holds."""
    source = source_of(f"a\n{{% if {expression} %}}b{{% endif %}}", "sms")
    (problem,) = try_out(ENGINE, source, [{"name": "x", "type": kind}], lambda: None)
    assert message in problem["message"]
    assert problem["line"] == 2


@each(
    ("kind", "expression"),
    [
        ("array", "x == []"),
        ("array", "x != none"),
        ("array", "items | length > 2"),
        ("array", "x + y"),
        ("array", "x[0] > 2"),
        ("array", "'a' in x"),
        ("object", "x == {}"),
        ("object", "x.n > 2"),
        ("object", "x is mapping"),
    ],
)
def test_a_publish_takes_what_arrays_and_objects_can_be_asked(kind: str, expression: str) -> None:
    """Their items and members, and others of their kind."""
    source = source_of(f"{{% if {expression} %}}b{{% endif %}}", "sms")
    declared = [{"name": "x", "type": kind}, {"name": "y", "type": "array"}]
    assert not try_out(ENGINE, source, declared, lambda: None)


def test_an_optional_boolean_is_neither_when_left_out() -> None:
    """A comparison with true or false asks for it."""
    declared = [{"name": "x", "type": "boolean", "required": False}]
    assert text("{{ 'y' if x == true or x == false else 'n' }}", {}, declared) == "n"


@each(
    ("language", "source", "expected"),
    [
        ("de", "{{ 'y' if a < 'Z' and b > a }}{{ 'y' if a is lt('Z') }}", "yy"),
        ("de", "{{ xs | select('lt', 'M') | join }} {{ xs | min }} {{ xs | max }}", "Äbbo Äb Zoë"),
        ("de", "{{ rows | selectattr('n', 'ge', 'M') | map(attribute='n') | join }}", "Zoë"),
        ("de", "{{ 'y' if 'apple' < name < 'Cherry' }}", "y"),
        ("sv", "{{ 'y' if a > 'Z' }}{{ xs | max }}", "yÄb"),
        ("ja", "{{ 'y' if a > 'Z' }}", "y"),
    ],
)
def test_texts_have_the_order_of_the_language(language: str, source: str, expected: str) -> None:
    """The same order as in sort, or the order of code points in a language without data."""
    values: dict[str, Any] = {
        "a": "Äpfel",
        "b": "Birnen",
        "name": "Banana",
        "xs": ["Zoë", "Äb", "bo"],
        "rows": [{"n": "Äb"}, {"n": "Zoë"}],
    }
    ready = ENGINE.prepare({**source_of(source, "sms"), "language": language})
    assert rendered_body(ENGINE, ready, ENGINE.values(ready, encode(values))) == expected


@each(
    ("one", "other"),
    [
        ("2026-01-31", "2026-02-01"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:30:00Z"),
        ("2026-01-31T23:00:00-05:00", "2026-02-01T05:00:00"),
        ("2026-01-31", "2026-01-31T00:00:01Z"),
    ],
)
def test_dates_have_the_order_of_time(one: str, other: str) -> None:
    """Whatever the offsets that they are written with."""
    assert text("{{ 'y' if a < b and b > a and a is lt(b) }}", {"a": one, "b": other}) == "y"


@each(
    ("one", "other", "is_same"),
    [
        ("2026-01-05T10:00:00+02:00", "2026-01-05T08:00:00Z", True),
        ("2026-01-05", "2026-01-05T00:00:00Z", True),
        ("2026-01-05T10:00:00+02:00", "2026-01-05T10:00:00Z", False),
        ("2026-13-05", "2026-13-05T00:00", False),
        ("1-2-3", "01-02-03", False),
    ],
)
def test_two_spellings_of_a_moment_are_equal(one: str, other: str, is_same: bool) -> None:  # noqa: FBT001 - a column of the table
    """They were neither equal nor before nor after each other."""
    conditions = ("a == b", "not (a != b)", "a in [b]")
    source = "".join(f"{{{{ 'y' if {condition} else 'n' }}}}" for condition in conditions)
    assert text(source, {"a": one, "b": other}) == ("yyy" if is_same else "nnn")
