"""Members that may be missing, at any depth: what is asked about is never an error."""

from typing import Any, Final

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.trials.trial import inferred
from tests.support.cases import each
from tests.support.sources import given, rendered_body, source_of

ENGINE: Final = Engine(Limits())


def body(source: str, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a text body."""
    return rendered_body(ENGINE, ENGINE.prepare(source_of(source, "sms")), given(values))


@each(
    "source",
    [
        "{{ users[0].name | default('?') }}",
        "{{ users[0].a.b.c | default('?') }}",
        "{{ users[k].name or '?' }}",
        "{{ (users | first).name | default('?') }}",
        "{{ (users | selectattr('name') | last).a.b or '?' }}",
        "{{ users[0].name if users[0].name is defined else '?' }}",
        "{% if users[0].name.first %}x{% else %}?{% endif %}",
        "{% set f = users | first %}{{ f.name | default('?') }}",
        "{% macro m(u) %}{{ u.a.b | default('?') }}{% endmacro %}{{ m({}) }}",
        "{{ '?' if not users[0].x.y else '' }}",
        "{% if o %}{{ o.null | default('?') }}{% endif %}",
        "{% if o.null is defined %}{{ o.null }}{% else %}?{% endif %}",
    ],
)
def test_members_of_what_is_missing_are_missing(source: str) -> None:
    """After subscripts, in macros and of names that the template sets; nulls count as missing."""
    several: tuple[list[dict[str, None]], ...] = ([], [{}], [{"name": None}])
    for users in several:
        assert body(source, users=users, k=0, o={"null": None}) == "?"


@each(
    ("source", "names", "optional", "items"),
    [
        ("{{ users[0].name | default('?') }}", ["users"], ["users"], []),
        ("{{ users[0].name }}", ["users"], [], []),
        ("{% with n = name | upper %}{{ n }}{% endwith %}", ["name"], [], []),
        ("{% with n = name or '?' %}{{ n }}{% endwith %}", ["name"], ["name"], []),
        (
            "{% macro g(u) %}{{ u.name | default('?') }}{% endmacro %}{{ g(user) }}",
            ["user"],
            ["user"],
            [],
        ),
        (
            "{% macro r(i) %}{{ i.sku }}{% endmacro %}{% for i in items %}{{ r(i) }}{% endfor %}",
            ["items"],
            [],
            ["items[].sku"],
        ),
    ],
)
def test_uses_within_a_macro_are_those_of_what_it_is_given(
    source: str, names: list[str], optional: list[str], items: list[str]
) -> None:
    """So that members of items are checked in each item, and guarded ones may be left out."""
    found = inferred(ENGINE, [source_of(source, "sms")], names, lambda: None)
    assert (found.optional, found.items) == (optional, items)


@each(
    "source",
    [
        "{% for i in rows | selectattr('name') %}{{ i.name }}{% endfor %}",
        "{% for i in rows | selectattr('name', 'defined') | reverse %}{{ i.name }}{% endfor %}",
        "{% for i in rows | rejectattr('name', 'none') %}{{ i.name }}{% endfor %}",
    ],
)
def test_a_member_that_items_are_chosen_by_may_be_missing(source: str) -> None:
    """The others are left out."""
    found = inferred(ENGINE, [source_of(source, "sms")], ["rows"], lambda: None)
    assert "rows[].name" in found.optional
