"""Values against declared variables: what is missing or mistyped is named, nothing is changed."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.value_types import mistyped
from tasks.rendering.variables import Schema, covered, needed, nested
from tasks.services.placeholder_checks import contradictions
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)

FITTING: dict[str, list[Any]] = {
    "string": ["", "text", "0", "null", "\u202e", "a\nb"],
    "integer": [0, -1, 2**80],
    "number": [0, -1.5, 1e300, 7],
    "boolean": [True, False],
    "date": ["2026-01-31", "2024-02-29"],
    "datetime": [
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.123456-05:30",
        "2026-01-31 12:00",
    ],
    "url": [
        "https://example.org/",
        "http://localhost:8080/a?b=c#d",
        "mailto:user@example.org",
        "tel:+4930123456",
        "sms:+4930123456",
        "HTTPS://EXAMPLE.ORG",
    ],
    "email": ["user@example.org", "üser@exämple.org", "o'hara+tag@example.org"],
    "array": [[], [1, None, {}]],
    "object": [{}, {"a": {"b": 1}}],
    "any": ["", 0, False, [], {}],
}
NOT_FITTING: dict[str, list[Any]] = {
    "string": [0, True, [], {}, 1.5],
    "integer": ["1", True, 1.0, 1.5, [], {}],
    "number": ["1", "1.5", False, [], {}],
    "boolean": [0, 1, "true", "", [], {}],
    "date": [
        "2026-02-29",
        "2026-1-31",
        "20260131",
        "2026-01-31T00:00:00",
        "31.01.2026",
        "",
        20260131,
        "2026-01-31\n",
    ],
    "datetime": ["2026-01-31", "12:00", "", "2026-01-31T25:00:00Z", 1769860800, "20260131T120000Z"],
    "url": [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//example.org/",
        "/relative",
        "https://",
        "http:example.org",
        "https://exa mple.org",
        "https://example.org/\n",
        "https://[::1",
        "mailto:",
        "",
        1,
    ],
    "email": [
        "user",
        "@example.org",
        "user@",
        "a b@example.org",
        "user@example.org\nBcc: x@example.org",
        "user@example.org\r",
        "a@b@c",
        "<user@example.org>",
        "",
        f"{'a' * 65}@example.org",
        1,
    ],
    "array": ["ab", {}, 1],
    "object": [[], "ab", 1],
    "any": [None],
}


@each(("kind", "value"), [(kind, value) for kind, values in FITTING.items() for value in values])
def test_a_value_of_its_type_is_taken_as_it_is(kind: str, value: object) -> None:
    """No value that fits is refused or converted."""
    assert mistyped(kind, value) is None
    bound, problems = Schema([{"name": "x", "type": kind}]).bind({"x": value})
    assert problems == []
    assert bound.values == {"x": value}


@each(
    ("kind", "value"), [(kind, value) for kind, values in NOT_FITTING.items() for value in values]
)
def test_a_value_of_another_type_is_refused_with_what_was_expected(
    kind: str, value: object
) -> None:
    """The problem says what was expected, and never the value that was given."""
    expected = mistyped(kind, value)
    assert expected is not None
    assert expected.startswith("expected ")


def test_every_missing_and_mistyped_variable_is_named_at_once() -> None:
    """A producer repairs all in one go, misspelt names included."""
    declared: list[dict[str, Any]] = [
        {"name": "name", "type": "string"},
        {"name": "amount", "type": "number"},
        {"name": "user.mail", "type": "email"},
        {"name": "user.age", "type": "integer"},
        {"name": "fine", "type": "boolean"},
    ]
    values = {"nmae": "Ann", "amount": "12", "user": {"mail": "x", "colour": 1}, "fine": True}
    _, problems = Schema(declared).bind(values)
    assert {(problem["path"], problem["type"]) for problem in problems} == {
        ("variables.name", "missing"),
        ("variables.amount", "number"),
        ("variables.user.mail", "email"),
        ("variables.user.age", "missing"),
        ("variables.nmae", "unknown"),
        ("variables.user.colour", "unknown"),
    }


def test_unknown_values_alone_are_reported_and_not_refused() -> None:
    """Variables that the template does not use are listed in the answer."""
    declared = [{"name": "user.name", "type": "string"}]
    values = {"user": {"name": "Ann", "age": 1}, "extra": {"a": 1}}
    bound, problems = Schema(declared).bind(values)
    assert problems == []
    assert bound.unused == ["user.age", "extra"]


def test_null_counts_as_left_out() -> None:
    """A null is missing where a value is required, gives way to a default, and else vanishes."""
    declared: list[dict[str, Any]] = [
        {"name": "must", "type": "string"},
        {"name": "may", "type": "string", "required": False},
        {"name": "filled", "type": "string", "default": "d"},
    ]
    bound, problems = Schema(declared).bind({"must": None, "may": None, "filled": None})
    assert [problem["path"] for problem in problems] == ["variables.must"]
    assert "null" in problems[0]["message"]
    assert bound.values == {"must": None, "filled": "d"}
    assert bound.defaulted == ["filled"]


def test_a_null_object_leaves_out_all_its_members() -> None:
    """What is null has no members: each is missing, or takes its default."""
    declared: list[dict[str, Any]] = [
        {"name": "user.name", "type": "string"},
        {"name": "user.title", "type": "string", "default": "Dr"},
    ]
    bound, problems = Schema(declared).bind({"user": None})
    assert [problem["path"] for problem in problems] == ["variables.user.name"]
    assert bound.values == {"user": {"title": "Dr"}}


def test_falsy_values_are_values() -> None:
    """Zero, false and empty text are no reason to take a default."""
    declared: list[dict[str, Any]] = [
        {"name": "n", "type": "integer", "default": 7},
        {"name": "b", "type": "boolean", "default": True},
        {"name": "s", "type": "string", "default": "d"},
        {"name": "l", "type": "array", "default": [1]},
    ]
    values = {"n": 0, "b": False, "s": "", "l": []}
    bound, problems = Schema(declared).bind(values)
    assert (bound.values, bound.defaulted, problems) == (values, [], [])


def test_a_falsy_default_is_a_default() -> None:
    """A default of zero, false or empty text makes the variable optional."""
    declared: list[dict[str, Any]] = [
        {"name": "n", "type": "integer", "default": 0},
        {"name": "b", "type": "boolean", "default": False},
        {"name": "s", "type": "string", "default": ""},
    ]
    bound, problems = Schema(declared).bind({})
    assert problems == []
    assert bound.values == {"n": 0, "b": False, "s": ""}
    assert bound.defaulted == ["n", "b", "s"]


@each(
    ("variable", "expected"),
    [
        ({"name": "x", "type": "string"}, True),
        ({"name": "x", "type": "string", "required": True}, True),
        ({"name": "x", "type": "string", "required": False}, False),
        ({"name": "x", "type": "string", "default": ""}, False),
        ({"name": "x", "type": "boolean", "required": True, "default": False}, False),
        ({"name": "x", "type": "string", "default": None}, True),
    ],
)
def test_needed_is_what_bind_misses(variable: dict[str, Any], *, expected: bool) -> None:
    """A variable must be given when its absence is a problem, and only then."""
    assert needed(variable) is expected
    _, problems = Schema([variable]).bind({})
    assert bool(problems) is expected


@each("value", ["text", 1, [], True])
def test_a_member_of_what_is_no_object_is_explained_at_its_parent(value: object) -> None:
    """``user.name`` of a text says that ``user`` should have been an object."""
    _, problems = Schema([{"name": "user.name", "type": "string"}]).bind({"user": value})
    assert {"path": "variables.user", "type": "object", "message": "expected an object"} in (
        problems
    )


@each("backwards", [False, True])
def test_defaults_of_an_object_and_of_its_members_go_together_in_any_order(
    *, backwards: bool
) -> None:
    """The order in which variables are declared changes nothing."""
    declared: list[dict[str, Any]] = [
        {"name": "user", "type": "object", "default": {"name": "Ann"}},
        {"name": "user.title", "type": "string", "default": "Dr"},
    ]
    if backwards:
        declared.reverse()
    untouched = copy.deepcopy(declared)
    bound, problems = Schema(declared).bind({})
    assert problems == []
    assert bound.values == {"user": {"name": "Ann", "title": "Dr"}}
    assert declared == untouched


@each("backwards", [False, True])
def test_a_null_object_keeps_the_defaults_of_its_members_in_any_order(*, backwards: bool) -> None:
    """An optional object that is null does not take away what its members default to."""
    declared: list[dict[str, Any]] = [
        {"name": "user", "type": "object", "required": False},
        {"name": "user.title", "type": "string", "default": "Dr"},
    ]
    if backwards:
        declared.reverse()
    bound, _ = Schema(declared).bind({"user": None})
    assert bound.values == {"user": {"title": "Dr"}}


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner),
    max_leaves=6,
)
VALUES = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@st.composite
def variables(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a declared variable, its default of its own type."""
    kind = draw(st.sampled_from(["string", "integer", "boolean", "object", "array", "any"]))
    variable: dict[str, Any] = {"name": draw(NAMES), "type": kind}
    if draw(st.booleans()):
        variable["required"] = draw(st.booleans())
    if draw(st.booleans()):
        variable["default"] = draw(st.sampled_from(FITTING[kind]))
    return variable


DECLARED = st.lists(variables(), max_size=5, unique_by=lambda variable: str(variable["name"]))


def at(values: Any, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a path, None where there is none."""
    for part in name.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


@QUICK
@given(DECLARED, VALUES)
def test_nothing_that_is_passed_in_is_changed(
    declared: list[dict[str, Any]], values: dict[str, Any]
) -> None:
    """A message that is tried again, and a default used by the next render, are as they were."""
    before = json.dumps([declared, values])
    Schema(declared).bind(values)
    assert json.dumps([declared, values]) == before


@QUICK
@given(DECLARED, VALUES)
def test_a_variable_is_bound_or_told(
    declared: list[dict[str, Any]], values: dict[str, Any]
) -> None:
    """What is given and fits is bound as given; what is not is defaulted, optional or a problem."""
    bound, problems = Schema(declared).bind(values)
    reported = {problem["path"] for problem in problems if problem["type"] != "unknown"}
    for variable in declared:
        name = variable["name"]
        steps = name.split(".")
        path = f"variables.{name}"
        parents = {f"variables.{'.'.join(steps[:count])}" for count in range(1, len(steps))}
        given_value = at(values, name)
        if reported & parents:
            continue  # the parent is not an object, which is the only problem
        if given_value is not None:
            if mistyped(variable["type"], given_value) is not None:
                assert path in reported
            elif path not in reported and name not in parents_of(declared):
                assert at(bound.values, name) == given_value
        elif variable.get("default") is not None:
            assert name in bound.defaulted
            assert path not in reported
        else:
            assert (path in reported) is variable.get("required", True)


def parents_of(declared: list[dict[str, Any]]) -> set[str]:
    """Return the names that other variables are members of: their defaults are put in there."""
    steps = [variable["name"].split(".") for variable in declared]
    return {".".join(parts[:count]) for parts in steps for count in range(1, len(parts))}


@QUICK
@given(DECLARED, VALUES)
def test_unknown_ones_are_told_only_beside_a_real_problem(
    declared: list[dict[str, Any]], values: dict[str, Any]
) -> None:
    """Unknown values are always listed as unused, and never are the reason for a refusal."""
    bound, problems = Schema(declared).bind(values)
    unknown = [problem["path"] for problem in problems if problem["type"] == "unknown"]
    if problems:
        assert len(unknown) < len(problems)
        assert unknown == [f"variables.{name}" for name in bound.unused]
    for name in bound.unused:
        assert not covered(name, {variable["name"] for variable in declared})


@QUICK
@given(st.dictionaries(NAMES, st.integers(), max_size=5))
def test_nested_gives_every_path_that_no_parent_blocks(assignments: dict[str, int]) -> None:
    """Each path leads to its value, except below a path that holds a value itself."""
    result = nested(assignments)
    for name, value in assignments.items():
        parts = name.split(".")
        blocked = any(".".join(parts[:count]) in assignments for count in range(1, len(parts)))
        assert at(result, name) == (None if blocked else value)


@each(
    ("placeholder", "names", "expected"),
    [
        ("user", {"user"}, True),
        ("user.name", {"user"}, True),
        ("user.name.first", {"user"}, True),
        ("user", {"user.name"}, True),
        ("user.age", {"user.name"}, False),
        ("user", {"username"}, False),
        ("username", {"user"}, False),
        ("user.names", {"user.name"}, False),
        ("a", set(), False),
    ],
)
def test_an_object_covers_its_members_and_is_covered_by_them(
    placeholder: str, names: set[str], *, expected: bool
) -> None:
    """Paths are compared by their steps, never by their letters."""
    assert covered(placeholder, names) is expected


@each(
    ("declared", "message"),
    [
        ([("user", "string"), ("user.name", "any")], "'user' is declared as 'string'"),
        ([("items[].sku", "string"), ("items", "object")], "makes it an array"),
        ([("items", "array"), ("items.total", "number")], "declare it as 'object'"),
        ([("a.b", "integer"), ("a.b.c", "any")], "'a.b' is declared as 'integer'"),
        ([("rows[]", "string"), ("rows[].x", "any")], "'rows[]' is declared as 'string'"),
    ],
)
def test_types_that_exclude_one_another_are_refused(
    declared: list[tuple[str, str]], message: str
) -> None:
    """No value would ever fit both."""
    (problem,) = contradictions([{"name": name, "type": kind} for name, kind in declared])
    assert message in problem["message"]
    assert problem["path"].startswith("variables[")


def test_members_of_objects_and_of_items_contradict_nothing() -> None:
    """Nor do members of a value of any type."""
    named = [("user", "object"), ("user.a", "any"), ("items", "array"), ("items[].b", "any")]
    declared = [*named, ("x", "any"), ("x.y", "any"), ("z[].a[].b", "any")]
    assert list(contradictions([{"name": name, "type": kind} for name, kind in declared])) == []


@each("member", ["length", "size", "count"])
def test_a_length_that_is_written_as_a_member_is_explained(member: str) -> None:
    """As in JavaScript and Liquid: an array has no members."""
    schema = Schema([{"name": f"cart.items.{member}", "type": "any"}])
    (problem,) = schema.bind({"cart": {"items": [1, 2]}})[1][:1]
    assert problem["message"].endswith("for its length write {{ cart.items | length }}")
    (other,) = schema.bind({"cart": {"items": 3}})[1][:1]
    assert other["message"] == "expected an object"
