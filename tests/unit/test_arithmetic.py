"""A template calculates exactly, and never with a text that looks like a number."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.variables import Schema
from tests.support.cases import each
from tests.support.sources import declared_body, source_of

ENGINE: Final = Engine(Limits())
DECIMALS: Final = [{"name": "a", "type": "decimal"}, {"name": "b", "type": "decimal"}]
LONG: Final = 1812345678901234567


def text(
    source: str,
    values: Mapping[str, Any],
    declared: Sequence[Mapping[str, Any]] = (),
    kind: str = "sms",
) -> str:
    """Render a body on the path of a render."""
    return declared_body(ENGINE, source_of(source, kind), Schema(declared), values)


def refused(source: str, values: Mapping[str, Any]) -> SourceError:
    """Return the error of a body that does not render."""
    with pytest.raises(SourceError) as caught:
        text(source, values)
    assert caught.value.code == Code.VARIABLES_INVALID
    return caught.value


@each(
    ("source", "expected"),
    [
        ("{{ a + b }}", "12.60"),
        ("{{ a - b }}", "12.40"),
        ("{{ a * 2 }}", "25.00"),
        ("{{ a / 4 }}", "3.125"),
        ("{{ -a }}", "-12.50"),
        ("{{ a // 1 }}", "12"),
        ("{{ a % 5 }}", "2.50"),
        ("{{ a ** 2 }} {{ b ** 3 }} {{ 1.1 ** 2 }}", "156.2500 0.001 1.21"),
        ("{{ (a + b) * 3 }}", "37.80"),
        ('{{ (a * 2) | currency("EUR") }}', "€25.00"),
        ("{{ 'more' if a + b > 12.59 else 'less' }}", "more"),
        ("{% macro sum(x) %}{{ x + 1 }}{% endmacro %}{{ sum(a) }}", "13.50"),
        ("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + a %}{{ ns.n }}", "12.50"),
    ],
)
def test_decimals_are_calculated_with(source: str, expected: str) -> None:
    """As decimals, with the zeros of a price."""
    assert text(source, {"a": "12.50", "b": "0.1"}, DECIMALS) == expected


@each(
    ("source", "expected"),
    [
        ("{{ 0.1 + 0.2 }}", "0.3"),
        ("{{ price * 3 }}", "3.3"),
        ("{{ n / 2 }}", "906172839450617283.5"),
        ("{{ n // 2 }} {{ n % 10 }}", "906172839450617283 7"),
        ("{{ n + n }}", "3624691357802469134"),
        ("{{ m * 2 }} {{ -m }}", "36893488147419103232 -18446744073709551616"),
        ("{{ m + 1 - m }}", "1"),
        ("{{ 'y' if least == -9223372036854775808 }}", "y"),
        ("{{ 'y' if least - 1 == -9223372036854775809 }}", "y"),
        ("{{ 7 / 2 }} {{ 10 // three }} {{ -7 % three }} {{ three ** 2 }}", "3.5 3 2 9"),
        ("{{ three / 2 }} {{ 2 ** -three }}", "1.5 0.125"),
    ],
)
def test_numbers_are_calculated_with_as_they_were_written(source: str, expected: str) -> None:
    """Whole numbers of any length, and fractions that are none in binary."""
    values = {"price": 1.1, "n": LONG, "m": 2**64, "least": -(2**63), "three": 3}
    assert text(source, values) == expected


def test_a_json_document_has_numbers() -> None:
    """Where a number was given; a text stays one."""
    body = text(
        '{"a": {{ a * 2 }}, "n": {{ n + 1 }}}', {"a": "1.50", "n": 2**64}, DECIMALS[:1], "json"
    )
    assert body.replace(" ", "") == '{"a":"3.00","n":18446744073709551617}'


@each(
    "source",
    ["{{ a * 2 }}", "{{ 2 * a }}", "{{ a + '5' }}", "{{ a + a }}", "{{ a + 1 }}", "{{ 1 - a }}"],
)
def test_a_text_is_not_calculated_with(source: str) -> None:
    """It would be repeated or put together, which a reader would take for the result."""
    error = refused(source, {"a": "12.50"})
    assert "declare the variable as 'decimal'" in error.message
    assert error.problem["column"] == 4


def test_words_may_be_repeated_and_put_together() -> None:
    """As in Jinja2."""
    assert text("{{ '-' * n }}{{ a + '!' }}", {"n": 3, "a": "x"}) == "---x!"


@each(
    "source", ["{{ n / 0 }}", "{{ n % 0 }}", "{{ n ** n }}", "{{ n * n * n * n }}", "{{ n + o }}"]
)
def test_what_has_no_result_is_refused(source: str) -> None:
    """At once, however large the numbers would be."""
    assert "arithmetic: " in refused(source, {"n": LONG, "o": {"x": 1}}).message


NUMBERS: Final = st.one_of(
    st.integers(-(10**20), 10**20), st.decimals(-(10**9), 10**9, places=2).map(float)
)


@settings(max_examples=60, deadline=None)
@drawn(one=NUMBERS, other=NUMBERS)
def test_sums_differences_and_products_are_exact(one: float, other: float) -> None:
    """Those of the numbers as they are written in JSON."""
    left, right = Fraction(repr(one)), Fraction(repr(other))
    results = text("{{ a + b }} {{ a - b }} {{ a * b }}", {"a": one, "b": other}).split()
    assert [Fraction(each) for each in results] == [left + right, left - right, left * right]


@each(
    ("source", "expected"),
    [
        ("{{ n | abs }}", "123456789012345678901234567890"),
        ("{{ n | int }}", "-123456789012345678901234567890"),
        ("{{ n | round }}", "-123456789012345678901234567890"),
        ("{{ [n] | sum }}", "-123456789012345678901234567890"),
        ("{{ [n, 1] | min }}", "-123456789012345678901234567890"),
    ],
)
def test_filters_of_numbers_keep_every_digit(source: str, expected: str) -> None:
    """Of a whole number that is longer than the digits of a decimal context."""
    assert text(source, {"n": -123456789012345678901234567890}) == expected


@each("number", [2**53 + 1, -(2**53) - 1, 10**30 + 1, "9007199254740993", "12345678901234567.89"])
def test_no_filter_makes_a_float_that_rounds(number: object) -> None:
    """The integer that was sent would be another one."""
    assert "digits is rounded" in str(refused("{{ n | float }}", {"n": number}))


@each("number", [2**53, 10**20, -5, "12.50", "0.1", 0.1])
def test_a_float_that_says_the_same_is_made(number: object) -> None:
    """Its digits are those of the number."""
    assert Fraction(text("{{ n | float }}", {"n": number})) == Fraction(str(number))


def test_a_missing_item_of_a_list_is_named_by_its_index() -> None:
    """Whether it was left out or null."""
    items = [{"sku": "a"}, {}, {"sku": None}]
    error = refused("{{ items | map(attribute='sku') | join(', ') }}", {"items": items})
    assert "join: a value is missing at [1], [2]" in str(error)


def test_a_loop_over_an_optional_array_that_is_missing_ends() -> None:
    """Only a member of its items is declared."""
    declared = [{"name": "items[].sku", "type": "string", "required": False}]
    source = "{% for item in items %}{{ item.sku | default('?') }}{% endfor %}."
    assert text(source, {}, declared) == "."
    assert text(source, {"items": [{}, {"sku": "a"}]}, declared) == "?a."


def test_an_array_of_another_type_is_one_problem() -> None:
    """However many members of its items are declared."""
    declared = [{"name": f"items[].{name}", "type": "string"} for name in ("sku", "name")]
    _, problems = Schema(declared).bind({"items": "x"})
    assert [problem["message"] for problem in problems] == ["expected an array"]


@each(
    ("source", "expected"),
    [
        ("{{ [0.1, 0.2] | sum }} {{ xs | sum }} {{ xs | sum(start=0.3) }}", "0.3 0.3 0.6"),
        ("{{ rows | sum(attribute='n') }} {{ [1, 2] | sum }}", "3.3 3"),
        ("{{ 2.675 | round(2) }} {{ 1.115 | round(2) }} {{ 1.15 | round(1) }}", "2.68 1.12 1.2"),
        (
            "{{ 2.5 | round }} {{ 3.5 | round }} {{ half | round }} {{ 0.125|round(2) }}",
            "2 4 2 0.12",
        ),
        ("{{ 2.1 | round(method='ceil') }} {{ 2.19 | round(1, 'floor') }}", "3 2.1"),
        ("{{ -0.2 | round }} {{ 1234.5 | round(-2) }}", "0 1200"),
        ("{{ '%s' | format(1e22) }} {{ 1e22 }}", "10000000000000000000000.0 " * 2),
        ("{{ '%s|%5s|%-5s|' | format(1e-7, 0.5, 0.5) }}", "0.0000001|  0.5|0.5  |"),
        ("{{ '%.2f %.1f %+08.2f' | format(2.675, 0.25, 1.5) }}", "2.68 0.2 +0001.50"),
        ("{{ '%.2f %d%% %s' | format(price, 7.0, 'x') }}", "12.50 7% x"),
    ],
)
def test_decimals_are_those_that_were_written(source: str, expected: str) -> None:
    """Not their binary neighbours; a half goes to the even digit, as in the filter currency."""
    values = {"xs": [0.1, 0.2], "rows": [{"n": 1.1}, {"n": 2.2}], "half": "2.5", "price": "12.5"}
    declared = [{"name": name, "type": "decimal"} for name in ("half", "price")]
    assert text(source, values, declared) == expected.strip()


@each(
    ("source", "message"),
    [
        ("{{ '%d' | format(2.5) }}", "%d takes a whole number"),
        ("{{ [1, 'a'] | sum }}", "a text cannot be calculated with"),
    ],
)
def test_what_is_no_number_there_is_refused(source: str, message: str) -> None:
    """With what to write."""
    assert message in refused(source, {}).message
