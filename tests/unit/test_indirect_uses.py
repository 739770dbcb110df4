"""What is refused where it is written out is refused by another way, too."""

from typing import Final

import pytest

from tasks.rendering.checks.captures import misused
from tasks.rendering.checks.minus import hyphenated
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.trials.trial import try_out
from tasks.rendering.warnings.declarations import unused_variables
from tests.support.cases import each
from tests.support.sources import given, rendered_body, source_of

ENGINE: Final = Engine(Limits())
DAY: Final = {"name": "d", "type": "any"}


@each(
    "source",
    [
        "{% set f = 'dd.MM.YYYY' %}{{ d | date(f) }}",
        "{{ d | date('dd.MM.' ~ 'YYYY') }}",
        "{{ [d] | map('date', 'dd.MM.YYYY') | join }}",
    ],
)
def test_a_pattern_with_the_year_of_a_week_is_refused_at_publish(source: str) -> None:
    """Wherever the source has it from."""
    (problem,) = try_out(ENGINE, source_of(source, "sms"), [DAY], lambda: None)
    assert "Y is the week's year" in problem["message"]


def test_a_pattern_of_a_value_is_refused_when_it_comes() -> None:
    """Nobody can tell before; the time zone is no pattern."""
    ready = ENGINE.prepare(source_of("{{ d | datetime(f, timezone=z) }}", "sms"))
    values = {"d": "2025-12-29T00:00:00Z", "z": "America/New_York"}
    with pytest.raises(SourceError, match="write y, or add w"):
        rendered_body(ENGINE, ready, given({**values, "f": "dd.MM.YYYY"}))
    assert rendered_body(ENGINE, ready, given({**values, "f": "dd.MM.y"})) == "28.12.2025"


def test_a_rank_without_all_forms_is_refused_at_publish() -> None:
    """Whatever the type of the number."""
    source = source_of("{{ d | plural(ordinal=true, one='#st', other='#th') }}", "sms")
    (problem,) = try_out(ENGINE, source, [DAY], lambda: None)
    assert "en also needs two, few" in problem["message"]


@each(
    ("source", "place"),
    [("{{ 'x' ~ user.first-name }}", 9), ("{{ a + b.c-d }}", 7), ("{{ user.date-of-birth }}", 3)],
)
def test_a_name_with_a_hyphen_is_found_behind_operators(source: str, place: int) -> None:
    """The operator before it does not belong to the name."""
    assert [each_.place for each_ in hyphenated(source)] == [place]


def test_filters_are_not_mapped_over_markup() -> None:
    """They would change its tags."""
    markup = "{% set a %}<b>{{ n }}</b>{% endset %}"
    assert len(misused(markup + "{{ [a] | map('upper') | join }}")) == 1
    assert misused(markup + "{{ [a] | map('trim') | join }}{{ n | map('upper') | join }}") == []


def test_a_member_in_brackets_is_used() -> None:
    """Its variable is not warned of."""
    assert list(unused_variables(['user["first-name"]'], ['user["first-name"]'], "variables")) == []
