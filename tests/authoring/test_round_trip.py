"""What is written into a folder is what is read from it, byte for byte."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.client import Renderer
from tasks.rendering.texts import Sources
from tests.support.definitions import LIMITS, definitions, simple, written
from worker.authoring import bundle_file, layout
from worker.authoring.check import Checker
from worker.authoring.definition import Definition, of_entry
from worker.authoring.reading import read_template
from worker.authoring.writing import write_template


def _exact(definition: Definition | None) -> str:
    """Return all of a definition as text in which 1 and 1.0 differ, and so do keys of any order."""
    assert definition is not None
    return json.dumps(definition.entry(), sort_keys=True)


@settings(deadline=None, max_examples=50)
@given(definitions())
def test_a_folder_gives_back_any_template(definition: Definition) -> None:
    """Every text, number and null, in every language; a second write changes no file."""
    with TemporaryDirectory() as place:
        root = Path(place)
        write_template(root, root / "a", definition)
        read = read_template(root, root / "a", LIMITS)
        assert [str(each) for each in read.findings if each.is_error] == []
        assert _exact(read.definition) == _exact(definition)
        assert read.definition is not None
        assert read.definition.digest() == definition.digest()
        assert write_template(root, root / "a", definition) == []


@settings(deadline=None, max_examples=20)
@given(definitions(), definitions())
def test_a_folder_takes_the_place_of_what_it_had(before: Definition, after: Definition) -> None:
    """No file of the former version is left, and none of the new one is missing."""
    with TemporaryDirectory() as place:
        root = Path(place)
        write_template(root, root / "a", before)
        write_template(root, root / "a", after)
        read = read_template(root, root / "a", LIMITS)
        assert [str(each) for each in read.findings if each.is_error] == []
        assert _exact(read.definition) == _exact(after)


@settings(deadline=None, max_examples=20)
@given(st.lists(definitions(), max_size=3))
def test_one_file_gives_back_all_templates(drawn: list[Definition]) -> None:
    """And a second export is the same bytes."""
    those = [replace(each, template_id=f"t{number}") for number, each in enumerate(drawn)]
    with TemporaryDirectory() as place:
        file = Path(place) / "templates.json"
        bundle_file.write_file(file, those)
        first = file.read_bytes()
        folder = bundle_file.read_file(file, LIMITS)
        assert [str(each) for each in folder.every_finding()] == []
        assert list(map(_exact, folder.definitions())) == list(map(_exact, those))
        bundle_file.write_file(file, reversed(folder.definitions()))
        assert file.read_bytes() == first


def test_an_error_of_a_file_of_templates_has_its_place(tmp_path: Path, renderer: Renderer) -> None:
    """Of an entry, and of a text in it, whose own line the message names."""
    file = tmp_path / "templates.json"
    body = "<p>\n{{ nam }}</p>"
    bundle_file.write_file(file, [simple("a"), simple("b", own=Sources("Hello {{ name }}", body))])
    content = json.loads(file.read_text())
    content["templates"][0]["version"]["variables"][0]["type"] = "text"
    file.write_text(json.dumps(content, indent=1))
    folder = bundle_file.read_file(file, LIMITS)
    lines = file.read_text().split("\n")
    found = Checker(folder, renderer, "en").check().errors
    assert [each.file for each in found] == ["templates.json"] * len(found)
    shown = [(lines[each.line - 1][each.column - 1 :], each.message) for each in found]
    (source, message) = shown[0]
    assert source == '"type": "text"'
    assert message.startswith("version.variables[0].type: a: 'text' is not a type")
    (source, message) = shown[1]
    assert source.startswith('"body": "<p>')
    assert "(line 2, column 4 of the text)" in message


def test_an_export_of_the_service_is_the_definition() -> None:
    """What the service adds, such as times and states, is not part of it."""
    definition = simple(translations={"de": Sources(None, "<p>Hallo {{ name }}</p>")})
    entry = definition.entry() | {"current_version": "3", "digest": "…"}
    entry["version"] |= {"version": "3", "is_current": True}
    entry["version"]["translations"]["de"] |= {"state": "stale"}
    assert of_entry(entry) == definition


def test_a_pull_keeps_comments_and_order_of_the_header(tmp_path: Path) -> None:
    """What an author wrote beside the values stays; only what differs is written."""
    folder = tmp_path / "greeting"
    write_template(tmp_path, folder, simple())
    path = folder / layout.HEADER
    path.write_text(
        "# Sent after the sign-up.\n"
        'type = "email"  # HTML\n'
        'name = "Greeting"\n'
        'language = "en"\n\n'
        "[[variables]]  # the reader\n"
        "name = 'name'\n"
        'example = "Ada"  # a name\n'
        'type = "string"\n'
    )
    assert write_template(tmp_path, folder, simple()) == []
    changed = simple(category="growth", name="Welcome")
    assert write_template(tmp_path, folder, changed) == [layout.HEADER]
    text = path.read_text()
    for comment in ("# Sent after the sign-up.", "# HTML", "# the reader", "# a name"):
        assert comment in text
    assert text.index("type =") < text.index("name =")
    read = read_template(tmp_path, folder, LIMITS)
    assert read.definition == changed


def test_dates_of_toml_are_text(tmp_path: Path) -> None:
    """An example may be written as TOML has dates."""
    written(tmp_path, simple())
    path = tmp_path / "greeting" / layout.HEADER
    extra = '[[variables]]\nname = "day"\ntype = "date"\nexample = 2026-01-31\n'
    path.write_text(f"{path.read_text()}\n{extra}")
    read = read_template(tmp_path, tmp_path / "greeting", LIMITS)
    assert read.definition is not None
    assert read.definition.variables is not None
    assert read.definition.variables[1]["example"] == "2026-01-31"
