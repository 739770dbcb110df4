"""Positions of values in files of TOML and JSON: where an author sees them."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from tasks.messages.base import joined
from worker.authoring.positions import Positions, of_json, of_toml, repeated_key

KEYS = st.text("ab.[]{}\"'\\#=:,\n é-", min_size=1, max_size=3)
LEAVES = st.none() | st.booleans() | st.integers() | st.text("a\"'\\#]},\n", max_size=4)
OBJECTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, LEAVES | inner | st.lists(LEAVES | inner), max_size=3),
    max_leaves=8,
)


def places(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield the path of each member and item in a value, with its key, None for an item."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield joined(path, key), key
            yield from places(child, joined(path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield joined(path, index), None
            yield from places(child, joined(path, index))


@given(OBJECTS, st.sampled_from([None, 2]))
def test_each_value_of_a_json_text_has_its_place(content: Any, indent: int | None) -> None:  # noqa: ANN401
    """A member begins with its key."""
    text = json.dumps(content, indent=indent)
    offsets = of_json(text)
    paths = list(places(content))
    assert {path for path, _ in paths} == {*offsets}
    if len(paths) == len(offsets):  # keys with dots and brackets may look like a path
        for path, key in paths:
            if key is not None:
                assert text.startswith(json.dumps(key), offsets[path])


@given(OBJECTS)
def test_each_value_of_a_toml_text_has_its_place(content: dict[str, Any]) -> None:
    """In tables, inline tables, and arrays of tables."""
    content = json.loads(json.dumps(content).replace("null", "0"))
    text = tomlkit.dumps(content)
    assert tomllib.loads(text) == content
    assert {path for path, _ in places(content)} == {*of_toml(text)}


HEADER = """\
description = '''
type = 1'''
"name" = "a" # [variables]
metadata.owner.team = "b"
metadata.owner."mail" = ["c", {d.e = 1}]

[[variables]]
name = "a"

  [[variables]]
  name = "b"
  example_json = "null"

[version_metadata]
at = 2026-01-31 09:30:00
language = "en"
"""


def test_a_path_leads_to_what_an_author_wrote() -> None:
    """Or to what would hold it."""
    found = Positions(HEADER, of_toml).find
    assert found("name") == (3, 1, True)
    assert found("metadata.owner.mail") == (5, 1, True)
    assert found("metadata.owner.mail[1].d.e") == (5, 32, True)
    assert found("variables[1]") == (10, 3, True)
    assert found("variables[1].example") == (12, 3, True)
    assert found("variables[1].type") == (10, 3, False)
    assert found("version_metadata.language") == (16, 1, True)
    assert found("type") == (1, 1, False)


def test_the_place_of_a_key_that_appears_twice() -> None:
    """It is the second one of the same object."""
    text = '{"a": {"b": 1}, "c": [{"b": 1}, {"b": 2, "b": 3}], "d": {"b": 4}}'
    assert repeated_key(text) == text.index('"b": 3')
