"""Digests: equal for equal contents, however they are written down."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.rendering.digests import is_equal, template_digest, version_digest
from tests.support.cases import each

TEXT = {"subject": "Hi", "body": "<p>{{ name }}</p>", "text": None, "preheader": None}
FIELDS = {"name": "A", "type": "email", "category": None, "is_active": True, "metadata": {"a": 1}}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_missing_members_have_their_defaults() -> None:
    """A message leaves out what the database has as null."""
    whole: dict[str, Any] = TEXT | {
        "format": None,
        "inline_css": False,
        "variables": [],
        "metadata": {},
        "translations": {},
    }
    assert version_digest(whole) == version_digest({"subject": "Hi", "body": "<p>{{ name }}</p>"})


@each(
    "change",
    [
        {"subject": None},
        {"subject": ""},
        {"body": "<p>{{ name }}</p>\n"},
        {"text": "Hi"},
        {"preheader": "Hi"},
        {"format": "mjml"},
        {"inline_css": True},
        {"variables": [{"name": "name", "type": "any", "required": True}]},
        {"metadata": {"language": "de"}},
        {"translations": {"de": {"body": "x"}}},
    ],
)
def test_every_part_of_a_version_counts(change: dict[str, Any]) -> None:
    """What an author writes is what is compared."""
    assert version_digest(TEXT | change) != version_digest(TEXT)


@each("name", ["name", "type", "description", "category", "is_active", "metadata"])
def test_every_field_of_a_template_counts(name: str) -> None:
    """So does the version, and that there is one."""
    assert template_digest(FIELDS | {name: "other"}, None) != template_digest(FIELDS, None)
    assert template_digest(FIELDS, "abc") != template_digest(FIELDS, None)


@each(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (0.0, -0.0, True),
        (1e17, 10**17, True),
        (1.2345678901234568e18, 1234567890123456800, True),
        (0.1, 0.10, True),
        (True, 1, False),
        (None, 0, False),
        ("1", 1, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ],
)
def test_numbers_are_compared_by_value(one: object, other: object, same: bool) -> None:  # noqa: FBT001 - a case
    """PostgreSQL's jsonb writes 1e17 with all of its zeros."""
    assert is_equal(one, other) is same


@given(JSON)
def test_a_trip_through_json_changes_no_digest(value: object) -> None:
    """As messages and the database's jsonb take it."""
    assert is_equal(value, json.loads(json.dumps(value)))
