"""Conditions and defaults that never do what they say."""

from tasks.rendering.checks.pointless import always_true, late_defaults
from tasks.rendering.warnings import source_warnings
from tests.support.cases import each


@each(
    "source",
    [
        *("{% if a == 1 or 2 %}x{% endif %}", "{% if lang == 'de' or 'at' or 'ch' %}x{% endif %}"),
        *("{% if a and (b == 'x' or 'y') %}x{% endif %}", "{{ 'x' if a == 1 or 2 else 'y' }}"),
        "{% for i in l if i.kind == 'a' or 'b' %}x{% endfor %}",
    ],
)
def test_a_side_of_or_that_always_holds_is_refused(source: str) -> None:
    """With what was meant."""
    assert "name in ['a', 'b']" in always_true(source)[0].message


@each(
    "source",
    [
        *("{{ n | upper | default('?') }}", "{{ born | date('long') | default('-') }}"),
        *("{{ items | join(', ') | default('none') }}", "{{ p | currency('EUR') | d('free') }}"),
    ],
)
def test_a_default_that_never_comes_is_named(source: str) -> None:
    """A filter gives a text, or fails."""
    (found,) = source_warnings(source, "body", html=False)
    assert found["code"] == "late_default"
    assert "default('there')" in found["remedy"]


@each(
    "source",
    [
        *("{% if a == 1 or b == 2 %}x{% endif %}", "{{ a or 'x' }}", "{% set n = a or 'x' %}"),
        *("{% if a in ['x', 'y'] or b %}x{% endif %}", "{% if a or false or 0 %}x{% endif %}"),
        *("{{ n | trim | default('?', true) }}", "{{ n | default('?') | upper }}"),
        *("{{ items | first | default('?') }}", "{% if (n or 'x') == 'x' %}x{% endif %}"),
        "{{ n | trim | d('?', boolean=true) }}{% if true or a %}x{% endif %}",
    ],
)
def test_what_has_an_effect_passes(source: str) -> None:
    """A value of its own on one side, or a default that is asked for."""
    assert always_true(source) == late_defaults(source) == []
