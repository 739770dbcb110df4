"""Changes of declared variables: what a producer could be refused for is named, and only that."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.rendering.changes import breaking_changes
from tasks.rendering.variables import Schema
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)

Variables = list[dict[str, Any]]


def problem_kinds(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return path and type of each problem."""
    return [
        f"{problem['path'].removeprefix('variables.')} {problem['type']}"
        for problem in breaking_changes(before, after)
    ]


def variable(text: str) -> dict[str, Any]:
    """Return a variable: ``user.name?:string=x``, ``?`` for optional, ``=`` for a default."""
    text, _, default = text.partition("=")
    name, _, kind = text.partition(":")
    declared: dict[str, Any] = {"name": name.rstrip("?"), "type": kind or "any"}
    if name.endswith("?"):
        declared["required"] = False
    if default:
        declared["default"] = default
    return declared


def variables(text: str) -> Variables:
    """Return the variables of a text with spaces between them."""
    return [variable(part) for part in text.split()]


@each(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("a", "", []),
        ("a b.c:string", "", []),
        ("", "a", ["a now_required"]),
        ("", "a?", []),
        ("", "a=x", []),
        ("a?", "a", ["a now_required"]),
        ("a=x", "a", ["a now_required"]),
        ("a?=x", "a", ["a now_required"]),
        ("a", "a?", []),
        ("a", "a=x", []),
        ("a=x", "a=y", []),
        ("a=x", "a?", []),
        # An object is there when a member of it had to be.
        ("user.name", "user", []),
        ("user.name", "user:object", []),
        ("user.address.city", "user.address", []),
        ("user.address.city", "user", []),
        ("user.name?", "user", ["user now_required"]),
        ("user.name=x", "user", ["user now_required"]),
        ("user", "user.name", ["user.name now_required"]),
        ("user:object", "user.name:string", ["user.name now_required"]),
        ("user.name", "user.age", ["user.age now_required"]),
        ("user", "username", ["username now_required"]),
        ("username", "user", ["user now_required"]),
        # The type of the same name.
        ("a:string", "a:integer", ["a type_changed"]),
        ("a:integer", "a:number", ["a type_changed"]),
        ("a:any", "a:string", ["a type_changed"]),
        ("a:string", "a", []),
        ("a?:string", "a?:integer", ["a type_changed"]),
        ("a?:string", "a:integer", ["a now_required", "a type_changed"]),
        # What was an object for its members.
        ("user.name", "user:string", ["user type_changed"]),
        ("user.name?", "user?:string", ["user type_changed"]),
        ("user.name?", "user:array", ["user now_required", "user type_changed"]),
        ("user.name?", "user?:object", []),
        # What could stand in an object that was declared as a whole.
        ("user:object", "user.name?", []),
        ("user:object", "user:object user.name?", []),
        ("user:object", "user.name?:string", ["user.name type_changed"]),
        ("user:object", "user.name:string=x", ["user.name type_changed"]),
        ("user:object", "user.address.city?", ["user.address.city type_changed"]),
        ("user", "user.name?", ["user.name type_changed"]),
        ("user:string", "user:string user.name?", ["user.name type_changed"]),
        ("user user.age?", "user.name?", []),
        ("user user.age?", "user.name?:string", ["user.name type_changed"]),
        ("user.age", "user.age user.name?:string", []),
        ("user.age?", "user.address.city?:string", []),
        # Members of items count from the first version on that declares one of them.
        ("l", "l l[].a", []),
        ("l?", "l? l[].a", []),
        ("l", "l l[]", []),
        ("", "l l[].a", ["l now_required", "l[].a now_required"]),
        ("l:array", "l:array l[].a", ["l[].a now_required"]),
        ("l:array", "l:array l[].a:array", ["l[].a now_required"]),
        ("l:string", "l l[].a", ["l[].a now_required"]),
        ("l", "l l[].a:string", ["l[].a now_required"]),
        ("l l[].b", "l l[].b l[].a", ["l[].a now_required"]),
        # In the order of the paths, whatever the order of the variables.
        ("c?", "c b a:string", ["a now_required", "b now_required", "c now_required"]),
    ],
)
def test_breaking_changes_are_named(before: str, after: str, expected: list[str]) -> None:
    """Each rule with its exceptions."""
    assert problem_kinds(variables(before), variables(after)) == expected


@each(
    ("before", "after", "message"),
    [
        ("", "a", "was not declared, is required now"),
        ("a?", "a", "was optional, is required now"),
        ("a=x", "a", "had a default, is required without one now"),
        ("a:string", "a:url", "was of type 'string', is of type 'url' now"),
        ("a.b", "a:string", "was an object, for its members, is of type 'string' now"),
        (
            "a:object",
            "a.b?:string",
            "was covered by 'a' and of any type, is of type 'string' now",
        ),
        (
            "a:any",
            "a.b.c?",
            "was covered by 'a' of type 'any', needs 'a.b' to be an object now",
        ),
    ],
)
def test_a_problem_says_from_what_to_what(before: str, after: str, message: str) -> None:
    """An author sees what to take back."""
    (problem,) = breaking_changes(variables(before), variables(after))
    assert problem["message"] == message


def test_no_default_is_repeated() -> None:
    """Defaults are a producer's words, which errors do not repeat."""
    texts = ["a:string=SEKRET", "a", "a?:url", "a.b=SEKRET"]
    for before, after in itertools.permutations(texts, 2):
        assert "SEKRET" not in str(breaking_changes(variables(before), variables(after)))


PATHS = ("a", "a.b", "a.b.c", "a.d", "e")
KINDS = ("any", "object", "string", "array")
DEFAULTS = {"any": "x", "object": {"d": "x"}, "string": "x", "array": ["x"]}


@st.composite
def declarations(draw: st.DrawFn) -> Variables:
    """Draw variables of a few names, so that some lie below others."""
    drawn: Variables = []
    for name in draw(st.permutations(PATHS)):
        kind = draw(st.sampled_from((None, None, *KINDS)))
        if kind is not None:
            declared: dict[str, Any] = {"name": name, "type": kind}
            declared |= draw(st.sampled_from(({}, {"required": True}, {"required": False})))
            if draw(st.booleans()) and draw(st.booleans()):
                declared["default"] = DEFAULTS[kind]
            drawn.append(declared)
    return drawn


@st.composite
def edited(draw: st.DrawFn, before: Variables) -> Variables:
    """Draw what an author may make of ``before``: most of it as it was."""
    others = {declared["name"]: declared for declared in draw(declarations())}
    kept = {declared["name"]: declared for declared in before}
    changed = [
        (others if draw(st.integers(0, 3)) == 0 else kept).get(name)
        for name in draw(st.permutations(PATHS))
    ]
    return [declared for declared in changed if declared is not None]


CHANGES = declarations().flatmap(lambda before: st.tuples(st.just(before), edited(before)))


def objects(**members: list[Any]) -> list[dict[str, Any]]:
    """Return an object for each choice of its members; ``...`` leaves one out."""
    return [
        {key: value for key, value in zip(members, choice, strict=True) if value is not ...}
        for choice in itertools.product(*members.values())
    ]


LEAVES: list[Any] = [..., None, "x", ["x"], {}]
INNER = [*LEAVES, *objects(c=["x", ["x"], {}])]
# Every value that the rules can tell apart at every path.
VALUES = objects(a=[*LEAVES, *objects(b=INNER, d=LEAVES)], e=LEAVES)


def fitting(declared: Variables) -> list[dict[str, Any]]:
    """Return the values that a producer may send, who sends nothing undeclared."""
    bound = ((values, *Schema(declared).bind(values)) for values in VALUES)
    return [values for values, found, problems in bound if not problems and not found.unused]


@QUICK
@given(CHANGES)
def test_without_a_problem_no_message_that_fitted_is_refused(
    change: tuple[Variables, Variables],
) -> None:
    """The one promise: a publish without breaking changes breaks nobody."""
    before, after = change
    assume(not breaking_changes(before, after))
    for values in fitting(before):
        assert Schema(after).bind(values)[1] == []


@QUICK
@given(CHANGES)
def test_for_each_problem_there_is_a_message_that_would_be_refused(
    change: tuple[Variables, Variables],
) -> None:
    """No change is called breaking that breaks nothing.

    A variable that is declared beside its members leaves fewer values than its own type, which
    the rule about types does not look at.
    """
    before, after = change
    names = {declared["name"] for declared in before}
    assume(not any(name.startswith(f"{other}.") for name in names for other in names))
    schema = Schema(after)
    refused = {each["path"] for values in fitting(before) for each in schema.bind(values)[1]}
    for problem in breaking_changes(before, after):
        # A parent that is not an object has its own problem.
        parts = problem["path"].split(".")
        assert refused & {".".join(parts[:count]) for count in range(2, len(parts) + 1)}


@QUICK
@given(declarations())
def test_the_same_variables_break_nothing(declared: Variables) -> None:
    """Nor do fewer of them, in another order."""
    assert breaking_changes(declared, declared) == []
    for fewer in range(len(declared)):
        assert breaking_changes(declared, declared[:fewer][::-1]) == []


@QUICK
@given(declarations(), st.sampled_from(KINDS))
def test_another_optional_variable_breaks_nothing(declared: Variables, kind: str) -> None:
    """Whether it need not be given or has a default; its name lies apart from all others."""
    for optional in ({"required": False}, {"default": DEFAULTS[kind]}):
        added = {"name": "f.g", "type": kind} | optional
        assert breaking_changes(declared, [added, *declared]) == []


@QUICK
@given(CHANGES)
def test_problems_are_sorted_and_about_declared_names(change: tuple[Variables, Variables]) -> None:
    """At most one problem of a type for a variable, and the same ones for any order."""
    before, after = change
    found = [(problem["path"], problem["type"]) for problem in breaking_changes(before, after)]
    assert found == sorted(set(found))
    assert {path for path, _ in found} <= {f"variables.{declared['name']}" for declared in after}
    assert breaking_changes(before[::-1], after[::-1]) == breaking_changes(before, after)
