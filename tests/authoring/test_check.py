"""The check of a folder: what is wrong is told with its file and place, and all of it at once."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.rendering.client import Renderer
from tasks.rendering.texts import Sources
from tests.support.definitions import LIMITS, TYPES, simple, written
from worker.authoring import reports
from worker.authoring.check import Checked, Checker
from worker.authoring.findings import Finding, Severity
from worker.authoring.reading import read_folder
from worker.authoring.scaffold import create


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    """Yield a renderer for the checks."""
    with Renderer(LIMITS) as renderer:
        yield renderer


Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path, renderer: Renderer) -> Check:
    """Return what checks the folder of the test."""

    def check(*ids: str, languages: tuple[str, ...] = (), update: bool = False) -> Checked:
        checker = Checker(read_folder(tmp_path, LIMITS), renderer, "en")
        return checker.check(ids or None, languages=languages, update=update)

    return check


def shown(checked: Checked) -> list[str]:
    """Return the findings as text."""
    return [str(each) for each in checked.findings]


def test_a_new_template_of_each_type_passes(tmp_path: Path, check: Check) -> None:
    """With its sample."""
    for kind in TYPES:
        create(tmp_path, f"new-{kind}", kind)
    checked = check()
    assert shown(checked) == []
    assert len(checked.passed) == len(TYPES)


def test_a_placeholder_of_another_engine_is_one_error(tmp_path: Path, check: Check) -> None:
    """Also where its name has a hyphen and a letter that names do not have."""
    written(tmp_path, simple("a", own=Sources(None, "<p>{{ prénom-usuel }}</p>"), variables=None))
    assert [each.code for each in check().errors] == ["minus"]


def test_every_problem_is_told_at_once(tmp_path: Path, check: Check) -> None:
    """Of all templates and languages, as file, line and column."""
    written(
        tmp_path,
        simple("a", own=Sources("{{ nam }}", "<p>\n{{ name }</p>")),
        simple("b", translations={"de": Sources(None, "<p>\n  {{ name }}{{ nome }}</p>")}),
        simple("c", own=Sources(None, '<p>{{ name }}</p>\n{% include "missing" %}')),
    )
    found = [
        (each.file, each.line, each.column, each.code) for each in check().findings if each.is_error
    ]
    assert found == [
        ("a/body.html", 2, 9, "syntax_error"),
        ("a/subject.txt", 1, 4, "undeclared"),
        ("b/translations/de/body.html", 2, 16, "added"),
        ("c/body.html", 2, 1, "partial_not_found"),
    ]
    assert "a/body.html:2:9: error: unexpected `}`, expected end" in "\n".join(shown(check()))


def broken(root: Path, name: str, data: bytes) -> None:
    """Write a file of the template greeting."""
    path = root / "greeting" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


BAD_EXAMPLE = b"""\
name = "a"
type = "email"
[[variables]]
name = "name"
type = "integer"
example = "x"
"""
BAD_FILES: dict[str, tuple[str, bytes | None, str]] = {
    "missing body": ("body.html", None, "body.html: error: body.html is missing"),
    "wrong body": ("body.txt", b"Hello", "body.txt: error: the body of a template of type 'email'"),
    "UTF-16": ("body.html", "<p>é</p>".encode("utf-16"), "body.html: error: the file is UTF-16"),
    "UTF-16 without a mark": ("body.html", "<p>".encode("utf-16-le"), "the file is UTF-16"),
    "Latin-1": ("body.html", b"<p>\n\xe9</p>", "body.html:2:1: error: the file is not UTF-8: byte"),
    "byte order mark": (
        "subject.txt",
        b"\xef\xbb\xbfHello {{ name }}",
        "subject.txt: error: the file begins with a byte order mark",
    ),
    "too large": ("body.html", b"a" * (LIMITS.body_bytes + 6), "the file has 262150 bytes"),
    "no TOML": ("template.toml", b'name = "a\n', "template.toml:1:10: error: not valid TOML"),
    "unknown key": (
        "template.toml",
        b'name = "a"\ntype = "email"\ncolour = "red"\n',
        "template.toml:3:1: error: unknown key 'colour'",
    ),
    "unknown type": (
        "template.toml",
        b'name = "a"\ntype = "fax"\n',
        "template.toml:2:1: error: expected 'email', 'in_app'",
    ),
    "bad example": (
        "template.toml",
        BAD_EXAMPLE,
        "template.toml:6:1: error: expected a whole number",
    ),
    "unknown file": ("bodi.html", b"", "bodi.html: error: not a file of a template"),
    "no language": ("translations/xx-yyyyyyyyy/body.html", b"a", "xx-yyyyyyyyy: error: expected a"),
    "no sample": ("samples/ada.json", b"{", "samples/ada.json:1:2: error: not valid JSON"),
    "sample of another shape": (
        "samples/ada.json",
        b'{"values": {}}',
        "samples/ada.json:1:2: error: unknown key 'values'",
    ),
    "sample that does not match": (
        "samples/ada.json",
        b'{"variables": {"nam": "Ada"}}',
        "samples/ada.json:1:2: error: variables.name: is required",
    ),
    "TOML without end": ("template.toml", b"a = " + b"[" * 100_000, "not valid TOML: nested too"),
    "a number without end": ("template.toml", b"a = " + b"1" * 9_999, "a number is too long"),
    "JSON without end": ("samples/ada.json", b"[" * 100_000, "not valid JSON: nested too deeply"),
    "a lone surrogate": (
        "samples/ada.json",
        b'{"variables": {"name": "\\ud800"}}',
        "samples/ada.json:1:16: error: variables.name: text contains a lone surrogate",
    ),
    "a sample's value of another type": (
        "samples/ada.json",
        b'{"language": "de",\n "variables": {\n  "name": ["Ada"]}}',
        "samples/ada.json:3:3: error: variables.name: expected text",
    ),
    "a name that is missing": (
        "template.toml",
        b'type = "email"\n[[variables]]\nname = "name"\n',
        "template.toml:1:1: error: name: is required",
    ),
    "a number as the id": (
        "template.toml",
        b'name = "a"\ntype = "email"\ntemplate_id = 3\n',
        "template.toml:3:1: error: expected text",
    ),
    "metadata of a version": (
        "template.toml",
        b'name = "a"\ntype = "email"\n[metadata]\na = 1\n[version_metadata.b]\nc = "\\u0000"\n',
        "template.toml:6:1: error: version_metadata.b.c: expected text without",
    ),
    "a language": (
        "template.toml",
        b'name = "a"\ntype = "email"\nlanguage = "no language"\n',
        "template.toml:3:1: error: expected a BCP 47 language tag",
    ),
    "variables in one line": (
        "template.toml",
        b'name = "a"\ntype = "email"\nvariables = ["name", {name = "b", type = "text"}]\n',
        "template.toml:3:35: error: 'text' is not a type",
    ),
    "JSON in TOML": (
        "template.toml",
        b'name = "a"\ntype = "email"\n[[variables]]\nname = "name"\nexample_json = "nul"\n',
        "template.toml:5:1: error: example_json is not text in JSON",
    ),
    "U+0000": (
        "body.html",
        b"<p>\n {{ name }}\0</p>",
        "body.html:2:12: error: expected text without",
    ),
    "an empty preheader": ("preheader.txt", b"\n", "preheader.txt:1:1: error: expected at least 1"),
    "a key that appears twice": (
        "samples/ada.json",
        b'{"variables": {"name": "Ada",\n"name": "Bo"}}',
        "samples/ada.json:2:1: error: not valid JSON: the key 'name' appears twice",
    ),
    "a mark that no header may have": (
        "template.toml",
        b"\xef\xbb\xbf",
        "the file begins with a byte order mark: save it as UTF-8 without BOM [byte_order_mark]",
    ),
    "no number of metadata": (
        "template.toml",
        b'name = "A"\ntype = "email"\n[metadata]\nrate = nan',
        "template.toml:4:1: error: metadata.rate: expected a finite number",
    ),
    "no number": ("samples/ada.json", b'{"variables": {"name": NaN}}', "expected a finite number"),
    "sample in no language": (
        "samples/ada.json",
        b'{"language": "d", "variables": {"name": "Ada"}}',
        "samples/ada.json:1:2: error: language: expected a BCP 47 language tag",
    ),
    "output without a sample": (
        "samples/ada.body.html",
        b"<p>",
        "samples/ada.body.html: error: sample ada.json of this expected output",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named(tmp_path: Path, check: Check, name: str) -> None:
    """In one sentence with its place."""
    written(tmp_path, simple())
    file, data, expected = BAD_FILES[name]
    if data is None:
        (tmp_path / "greeting" / file).unlink()
    else:
        broken(tmp_path, file, data)
    checked = check()
    assert any(expected in str(each) and each.is_error for each in checked.findings), shown(checked)
    assert all(each.file.startswith("greeting/") for each in checked.errors)


def test_a_file_of_100_mb_is_not_read(tmp_path: Path, check: Check) -> None:
    """Its size is enough to refuse it."""
    written(tmp_path, simple())
    with (tmp_path / "greeting" / "body.html").open("r+b") as file:
        file.truncate(100 * 1024 * 1024)
    (finding,) = check().findings
    assert str(finding).startswith("greeting/body.html: error: the file has 104857600 bytes")


def test_links_out_of_the_folder_are_refused(tmp_path: Path, renderer: Renderer) -> None:
    """Of a file, of a folder in a template, and of a whole template; links inside are read."""
    root, outside = tmp_path / "templates", tmp_path / "outside"
    written(outside, simple("secret"))
    written(root, simple(), simple("other"))
    body = root / "greeting" / "body.html"
    body.unlink()
    body.symlink_to(outside / "secret" / "body.html")
    (root / "greeting" / "translations").symlink_to(outside)
    (root / "secret").symlink_to(outside / "secret")
    inner = root / "other" / "body.html"
    inner.rename(root / "other" / "subject.txt")
    inner.symlink_to(root / "other" / "subject.txt")
    checked = Checker(read_folder(root, LIMITS), renderer, "en").check()
    refused = {each.file for each in checked.errors if each.code == "link_outside"}
    assert refused == {"greeting/body.html", "greeting/translations", "secret"}
    assert "other" in checked.passed


def test_links_to_nothing_are_refused(tmp_path: Path, check: Check) -> None:
    """Of translations they would drop all languages."""
    written(tmp_path, simple())
    for link in ("greeting/translations", "greeting/samples", "other"):
        (tmp_path / link).symlink_to("nothing")
    refused = {each.file: each.code for each in check().errors}
    assert refused == dict.fromkeys(
        ("greeting/translations", "greeting/samples", "other"), "unreadable"
    )


def test_names_that_are_not_utf_8_are_refused(tmp_path: Path, check: Check) -> None:
    """And shown in every report."""
    written(tmp_path, simple())
    (tmp_path / "greeting" / os.fsdecode(b"\xff.txt")).touch()
    (tmp_path / os.fsdecode(b"\xfe")).mkdir()
    checked = check()
    assert [str(each) for each in checked.errors] == [
        "\\xfe: error: the file's name is not UTF-8: rename it [encoding]",
        "greeting/\\xff.txt: error: the file's name is not UTF-8: rename it [encoding]",
    ]
    assert "%5Cxff.txt" in reports.as_sarif(checked.findings, "")


def test_a_pipe_in_a_folder_holds_nobody_up(tmp_path: Path, check: Check) -> None:
    """It is refused like anything that is not a file."""
    written(tmp_path, simple())
    (tmp_path / "greeting" / "body.html").unlink()
    os.mkfifo(tmp_path / "greeting" / "body.html")
    assert shown(check()) == ["greeting/body.html: error: expected a file with text [not_a_file]"]


def test_two_templates_with_one_id_are_refused(tmp_path: Path, check: Check) -> None:
    """Each names the other."""
    written(tmp_path, simple("a"), simple("b"))
    header = tmp_path / "b" / "template.toml"
    header.write_text(f'template_id = "a"\n{header.read_text()}')
    message = "error: template_id 'a' is also used by {}: rename one [same_template_id]"
    found = [each for each in shown(check()) if "same_template_id" in each]
    assert found == [
        f"{name}/template.toml:1:1: {message.format(other)}" for name, other in ("ab", "ba")
    ]


def test_a_cycle_of_partials_is_told_at_the_tag(tmp_path: Path, check: Check) -> None:
    """In each of them."""
    own = {name: Sources(None, f'<p>\n{{% include "{name}" %}}</p>') for name in ("a", "b")}
    written(
        tmp_path,
        simple("a", type="partial", own=own["b"], variables=[]),
        simple("b", type="partial", own=own["a"], variables=[]),
    )
    assert shown(check()) == [
        "a/body.html:2:1: error: a partial cannot use itself: a → b → a [partial_cycle]",
        "b/body.html:2:1: error: a partial cannot use itself: b → a → b [partial_cycle]",
    ]


def test_partials_of_the_folder_are_used(tmp_path: Path, check: Check) -> None:
    """In the language of the text; what uses one with errors is not checked."""
    footer = simple(
        "footer",
        type="partial",
        own=Sources(None, "<p>bye</p>"),
        translations={"de": Sources(None, "<p>tschüss</p>")},
        variables=[],
    )
    user = simple(
        own=Sources(None, '<p>{{ name }}</p>{% include "footer" %}'),
        translations={"de": Sources(None, '<b>{{ name }}</b>{% include "footer" %}')},
    )
    written(tmp_path, footer, user)
    broken(tmp_path, "samples/ada.json", b'{"language": "de-AT", "variables": {"name": "Ada"}}')
    checked = check(update=True)
    assert shown(checked) == []
    output = tmp_path / "greeting" / "samples" / "ada.body.html"
    assert output.read_text() == "<b>Ada</b><p>tschüss</p>"
    (tmp_path / "footer" / "body.html").write_text("{{ x")
    assert [each.code for each in check("greeting").findings] == ["syntax_error", "not_checked"]


def test_samples_are_compared_with_what_is_expected(tmp_path: Path, check: Check) -> None:
    """A difference is an error with both lines, until --update accepts it."""
    written(tmp_path, simple())
    broken(tmp_path, "samples/ada.json", b'{"variables": {"name": "Ada"}}')
    assert check(update=True).updated == [
        "greeting/samples/ada.body.html",
        "greeting/samples/ada.subject.txt",
        "greeting/samples/ada.text.txt",
    ]
    assert check().findings == []
    (tmp_path / "greeting" / "body.html").write_text("<p>Dear {{ name }}</p>\n")
    findings = [each for each in check().findings if each.file.endswith("body.html")]
    assert [(each.code, each.line) for each in findings] == [("unexpected_output", 1)]
    assert "-<p>Hello Ada</p>\n+<p>Dear Ada</p>" in findings[0].snippet
    check(update=True)
    assert check().findings == []


def test_warnings_do_not_fail(tmp_path: Path, check: Check) -> None:
    """Those of a publish, CRLF, and translations that only others have."""
    html = '<html><img src="a.png"><p>{name}{{ name }}</p></html>'
    written(
        tmp_path,
        simple("a", own=Sources(None, html), translations={"de": Sources(None, html)}),
        simple("b"),
    )
    (tmp_path / "b" / "body.html").write_bytes(b"<p>{{ name }}</p>\r\n")
    checked = check()
    assert checked.errors == []
    found = {(each.file, each.code, each.line) for each in checked.findings}
    assert ("a/body.html", "missing_alt", 1) in found
    assert ("a/translations/de/body.html", "foreign_placeholder", 1) in found
    assert ("b/body.html", "line_endings", 1) in found
    assert ("b/template.toml", "missing_translation", 1) in found
    required = check(languages=("de", "fr"))
    assert [(each.file, each.message) for each in required.errors] == [
        ("a/template.toml", "the translation into fr is missing: add translations/fr"),
        ("b/template.toml", "the translation into de, fr is missing: add translations/de"),
    ]


FINDING = Finding("a b/body.html", 2, 5, Severity.ERROR, "undeclared", "100%: a,\nb", "x\n    ^")


def test_github_shows_findings_at_their_lines() -> None:
    """Its characters are escaped (docs.github.com, workflow commands)."""
    assert reports.as_github([FINDING], "templates") == (
        "::error file=templates/a b/body.html,line=2,col=5,title=undeclared::100%25: a,%0Ab"
    )


def test_sarif_names_rules_and_places() -> None:
    """As code scanning reads it: SARIF 2.1.0."""
    report = json.loads(reports.as_sarif([FINDING], "templates"))
    assert report["version"] == "2.1.0"
    (run,) = report["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["undeclared"]
    (result,) = run["results"]
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "templates/a%20b/body.html"}
    assert place["region"] == {"startLine": 2, "startColumn": 5}


def test_a_whole_file_is_reported_at_its_beginning() -> None:
    """Code scanning refuses a result without a line, and GitHub shows no annotation."""
    whole = replace(FINDING, line=0, column=0)
    assert ",line=1,col=1," in reports.as_github([whole], "")
    (result,) = json.loads(reports.as_sarif([whole], ""))["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 1}
    assert str(whole).startswith("a b/body.html: error: ")


def test_text_has_the_line_and_a_caret() -> None:
    """As compilers print it, so that editors jump to the place."""
    text = reports.as_text([FINDING], "templates")
    assert re.match(r"templates/a b/body\.html:2:5: error: ", text)
    assert text.endswith("    x\n        ^")
