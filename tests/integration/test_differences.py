"""``version.diff``: what an author sees between two versions."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.services.differences import (
    MOST_CHARACTERS,
    MOST_LINES,
    MOST_PAIRS,
    Comparison,
    keys,
    variables,
)
from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

QUICK = settings(max_examples=80, deadline=None)
SAME = {"changed": False, "diff": None}


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


def two(tasks: Tasks, before: dict[str, Any], after: dict[str, Any]) -> str:
    """Publish two versions of a template, whatever that breaks, and return its id."""
    template = templates.published(tasks, **({"body": "x"} | before))
    message = {"template_id": template, "body": "x", "allow_breaking": True}
    tasks.call("version.publish", message | after)
    return template


def diff(tasks: Tasks, template: str, before: str = "1", after: str = "2") -> dict[str, Any]:
    """Compare two versions."""
    return tasks.call(
        "version.diff", {"template_id": template, "from_version": before, "to_version": after}
    )


def refused(tasks: Tasks, template: str, before: str = "1", after: str = "2") -> RefusedError:
    """Return the refusal of a comparison."""
    with pytest.raises(RefusedError) as caught:
        diff(tasks, template, before, after)
    return caught.value


class TestTexts:
    """Subject and body of the versions' own language."""

    def test_a_text_diff_has_three_lines_of_context(self, tasks: Tasks) -> None:
        """A unified diff without the lines that name files."""
        lines = [f"line {number}" for number in range(1, 10)]
        before, after = "\n".join(lines), "\n".join([*lines[:5], "new", *lines[6:]])
        answer = diff(tasks, two(tasks, {"body": before}, {"body": after}))
        assert answer["subject"] == SAME
        assert answer["body"] == {
            "changed": True,
            "diff": [
                "@@ -3,7 +3,7 @@",
                " line 3",
                " line 4",
                " line 5",
                "-line 6",
                "+new",
                " line 7",
                " line 8",
                " line 9",
            ],
        }

    @each(
        ("before", "after", "lines"),
        [
            (None, "", ["@@ -0,0 +1 @@", "+"]),
            ("", None, ["@@ -1 +0,0 @@", "-"]),
            (None, "Hi", ["@@ -0,0 +1 @@", "+Hi"]),
            ("", "Hi", ["@@ -1 +1 @@", "-", "+Hi"]),
            ("Hi", None, ["@@ -1 +0,0 @@", "-Hi"]),
        ],
    )
    def test_a_missing_subject_differs_from_an_empty_one(
        self, tasks: Tasks, before: str | None, after: str | None, lines: list[str]
    ) -> None:
        """A null has no lines, and an empty text has one."""
        answer = diff(tasks, two(tasks, {"subject": before}, {"subject": after}))
        assert answer["subject"] == {"changed": True, "diff": lines}
        assert answer["body"] == SAME

    def test_comparing_in_the_other_direction_swaps_added_and_removed(self, tasks: Tasks) -> None:
        """What is added one way is removed the other."""
        template = two(
            tasks,
            {"body": "a{{ x }}", "translations": {"de": {"body": "d{{ x }}"}}},
            {
                "body": "b{{ y }}",
                "translations": {"fr": {"body": "f{{ y }}"}},
                "carry_translations": False,
            },
        )
        forth, back = diff(tasks, template), diff(tasks, template, "2", "1")
        assert (back["from_version"], back["to_version"]) == ("2", "1")
        assert forth["body"]["diff"] == ["@@ -1 +1 @@", "-a{{ x }}", "+b{{ y }}"]
        assert back["body"]["diff"] == ["@@ -1 +1 @@", "-b{{ y }}", "+a{{ x }}"]
        for part in ("variables", "languages"):
            assert forth[part]["added"] == back[part]["removed"] != []
            assert forth[part]["removed"] == back[part]["added"] != []


class TestVariables:
    """What is declared, and whom a change breaks."""

    def test_added_removed_and_changed_variables_are_listed(self, tasks: Tasks) -> None:
        """Whole variables, in their order; one that only moved did not change."""
        before = [
            {"name": "stays", "type": "string"},
            {"name": "gone", "type": "integer", "example": 1},
            {"name": "user.name", "type": "string"},
            {"name": "amount", "type": "number", "default": 1},
        ]
        after = [
            {"name": "amount", "type": "number", "default": 1.5},
            {"name": "user.name", "type": "any", "description": "d"},
            {"name": "b", "type": "url"},
            {"name": "stays", "type": "string"},
            {"name": "a", "required": False},
        ]
        answer = diff(tasks, two(tasks, {"variables": before}, {"variables": after}))
        assert answer["variables"] == {
            "added": [
                {"name": "b", "type": "url", "required": True},
                {"name": "a", "type": "any", "required": False},
            ],
            "removed": [{"name": "gone", "type": "integer", "required": True, "example": 1}],
            "changed": [
                {
                    "name": "amount",
                    "from": {"name": "amount", "type": "number", "required": True, "default": 1},
                    "to": {"name": "amount", "type": "number", "required": True, "default": 1.5},
                },
                {
                    "name": "user.name",
                    "from": {"name": "user.name", "type": "string", "required": True},
                    "to": {
                        "name": "user.name",
                        "type": "any",
                        "required": True,
                        "description": "d",
                    },
                },
            ],
        }
        assert answer["breaking"] == [
            {
                "path": "variables.b",
                "type": "now_required",
                "message": "was not declared, is required now",
            }
        ]

    def test_a_compatible_change_is_not_listed_as_breaking(self, tasks: Tasks) -> None:
        """It is listed as a change, and not as a breaking one."""
        template = two(tasks, {"body": "{{ a }}{{ b }}"}, {"body": "{{ a|default('x') }}"})
        answer = diff(tasks, template)
        assert answer["breaking"] == []
        assert [change["name"] for change in answer["variables"]["changed"]] == ["a"]
        assert [change["name"] for change in answer["variables"]["removed"]] == ["b"]

    @each(("one", "other"), [(1, True), (1, 1.0), (0, False), ([1], [1.0])])
    def test_a_default_that_changes_from_1_to_true_is_a_change(
        self, one: object, other: object
    ) -> None:
        """A default of 1 that becomes true is a change."""
        before, after = ([{"name": "a", "type": "any", "default": it}] for it in (one, other))
        assert [change.name for change in variables(before, after).changed] == ["a"]
        assert keys({"k": {"a": one}}, {"k": {"a": other}}).changed == ["k"]
        assert variables(before, before).changed == []
        assert keys({"k": one}, {"k": one}).changed == []


class TestLanguages:
    """The translations, and their state in both versions."""

    def test_languages_are_listed_as_added_removed_changed_or_unchanged(self, tasks: Tasks) -> None:
        """A language whose text stayed has no diff; a changed subject leaves the body alone."""
        before = {
            "de": {"body": "d1\nd2"},
            "es": {"body": "e", "subject": "s"},
            "fr": {"body": "f"},
            "it": {"body": "i", "subject": "i"},
        }
        after = {
            "de": {"body": "d1\nd3"},
            "es": {"body": "e"},
            "it": {"body": "i", "subject": "i"},
            "pt-BR": {"body": "p"},
        }
        answer = diff(
            tasks,
            two(
                tasks,
                {"translations": before},
                {"translations": after, "carry_translations": False},
            ),
        )
        state = {"from": "current", "to": "current"}
        assert answer["languages"] == {
            "added": ["pt-BR"],
            "removed": ["fr"],
            "changed": [
                {
                    "language": "de",
                    "state": state,
                    "subject": SAME,
                    "body": {"changed": True, "diff": ["@@ -1,2 +1,2 @@", " d1", "-d2", "+d3"]},
                    "text": SAME,
                    "preheader": SAME,
                },
                {
                    "language": "es",
                    "state": state,
                    "subject": {"changed": True, "diff": ["@@ -1 +0,0 @@", "-s"]},
                    "body": SAME,
                    "text": SAME,
                    "preheader": SAME,
                },
            ],
            "unchanged": [{"language": "it", "state": state}],
        }
        assert answer["body"] == SAME

    def test_stale_translations_are_reported_for_each_version(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """An author sees what is left to translate."""
        texts = {tag: {"body": tag} for tag in ("de", "fr")}
        template = two(
            tasks, {"translations": texts}, {"translations": texts | {"fr": {"body": "new"}}}
        )
        rows.run(
            "UPDATE template_translations AS x SET is_stale = true FROM template_versions AS v "
            "JOIN templates AS t ON t.id = v.template_id "
            "WHERE v.id = x.template_version_id AND v.version = '2' AND t.template_id = %(id)s",
            id=template,
        )
        state = {"from": "current", "to": "stale"}
        languages = diff(tasks, template)["languages"]
        assert languages["unchanged"] == [{"language": "de", "state": state}]
        assert [(change["language"], change["state"]) for change in languages["changed"]] == [
            ("fr", state)
        ]

    def test_many_languages_are_listed_in_order(self, tasks: Tasks) -> None:
        """More than are read at once."""
        tags = ["ar", "bg", "cs", "da", "de", "el", "es", "et", "fi", "fr", "hr", "hu", "it", "lt"]
        template = two(
            tasks,
            {"translations": {tag: {"body": tag} for tag in reversed(tags)}},
            {"translations": {tag: {"body": f"{tag}!"} for tag in tags}},
        )
        changed = diff(tasks, template)["languages"]["changed"]
        assert [change["language"] for change in changed] == tags
        assert all(change["body"]["diff"][1] == f"-{change['language']}" for change in changed)

    def test_the_versions_own_languages_may_differ(self, tasks: Tasks) -> None:
        """Taken from metadata, or the service's default; other metadata are listed by key."""
        template = two(
            tasks,
            {"metadata": {"a": 1, "b": [1]}},
            {"metadata": {"language": "de", "b": [2], "c": None}},
        )
        answer = diff(tasks, template)
        assert answer["language"] == {"from": "en", "to": "de"}
        assert answer["metadata"] == {
            "added": ["c", "language"],
            "removed": ["a"],
            "changed": ["b"],
        }


class TestWhichVersions:
    """Any two versions of one template."""

    def test_a_version_is_not_different_from_itself(self, tasks: Tasks) -> None:
        """Every part says so."""
        template = templates.published(
            tasks,
            "{{ a }}",
            subject="s",
            metadata={"k": 1},
            translations={"de": {"body": "d{{ a }}"}},
        )
        nothing: dict[str, Any] = {"added": [], "removed": [], "changed": []}
        state = {"from": "current", "to": "current"}
        assert diff(tasks, template, "1", "1") == {
            "template_id": template,
            "from_version": "1",
            "to_version": "1",
            "language": {"from": "en", "to": "en"},
            "subject": SAME,
            "body": SAME,
            "text": SAME,
            "preheader": SAME,
            "variables": nothing,
            "metadata": nothing,
            "languages": nothing | {"unchanged": [{"language": "de", "state": state}]},
            "breaking": [],
        }

    def test_any_two_versions_can_be_compared(self, tasks: Tasks) -> None:
        """Nor be next to each other."""
        template = two(tasks, {"body": "one"}, {"body": "two", "activate": False})
        tasks.call("version.publish", {"template_id": template, "body": "one", "version": "v3"})
        assert diff(tasks, template)["body"]["changed"] is True
        assert diff(tasks, template, "1", "v3")["body"] == SAME

    def test_a_missing_version_is_reported_with_its_path(self, tasks: Tasks) -> None:
        """By its place in the message; a version of another template is missing too."""
        template = templates.published(tasks)
        two(tasks, {}, {})
        for before, after, path in (("1", "2", "to_version"), ("2", "1", "from_version")):
            error = refused(tasks, template, before, after)
            assert (error.code, error.paths) == ("version_not_found", {path})
            assert "'2'" in error.message

    def test_a_deleted_template_is_not_found(self, tasks: Tasks) -> None:
        """Nor is one that never was."""
        template = two(tasks, {}, {})
        tasks.call("template.delete", {"template_id": template})
        for name in (template, templates.template_id("missing")):
            error = refused(tasks, name)
            assert (error.code, error.paths) == ("template_not_found", {"template_id"})

    def test_both_versions_must_be_named(self, tasks: Tasks) -> None:
        """There is no default: a current version may be another one by now."""
        with pytest.raises(RefusedError) as caught:
            tasks.call("version.diff", {"template_id": "a", "version": "1"})
        assert caught.value.code == "invalid_message"
        assert caught.value.paths == {"from_version", "to_version", "version"}


def applied(before: str | None, lines: list[str]) -> str | None:
    """Return what a diff makes of a text."""
    source = [] if before is None else before.split("\n")
    result: list[str] = []
    position = 0
    for line in lines:
        if line.startswith("@@ "):
            start, _, count = line.split(" ")[1][1:].partition(",")
            # A range without lines names the line before it.
            begin = int(start) - (count != "0")
            result += source[position:begin]
            position = begin
        elif line.startswith("+"):
            result.append(line[1:])
        else:
            assert source[position] == line[1:]
            position += 1
            if line.startswith(" "):
                result.append(line[1:])
    result += source[position:]
    return "\n".join(result) if result else None


SOURCES = st.none() | st.lists(st.sampled_from(["", "a", "b", "\r", "@@ x", "-", "+", "--- "])).map(
    "\n".join
)


@QUICK
@given(SOURCES | st.text(), SOURCES | st.text())
@example(None, "")
@example("a\r\nb", "a\nb")
@example("a", "a\n")
@example("a\u2028b", "a\nb")
@example("--- \n+++ ", "+++ \n--- ")
def test_a_diff_turns_one_text_into_the_other(before: str | None, after: str | None) -> None:
    """Nothing is hidden: not the kind of a line's end, and not whether there is a last one."""
    difference = Comparison().text(before, after)
    assert difference.changed is (before != after)
    if difference.changed:
        assert difference.diff is not None
        assert applied(before, difference.diff) == after
    else:
        assert difference.diff is None


class TestBounds:
    """Comparing takes a bounded time, and an answer has a bounded size."""

    @each(
        ("before", "after", "is_compared"),
        [
            (MOST_LINES, MOST_LINES, True),
            (MOST_LINES + 1, 1, False),
            (1, MOST_LINES + 1, False),
        ],
    )
    def test_a_text_with_too_many_lines_has_no_diff(
        self, before: int, after: int, *, is_compared: bool
    ) -> None:
        """The change itself is reported whatever the size."""
        difference = Comparison().text("a" + "\n" * (before - 1), "b" + "\n" * (after - 1))
        assert difference.changed is True
        assert (difference.diff is not None) is is_compared

    def test_the_lines_of_an_answer_are_bounded(self) -> None:
        """What is too much for the rest is left out; what is less may still fit."""
        comparison = Comparison()
        long = "\n" * (MOST_LINES - 1)
        texts = [comparison.text(long, f"{long}x") for _ in range(MOST_PAIRS // MOST_LINES**2 + 1)]
        assert [text.diff is None for text in texts] == [False] * (len(texts) - 1) + [True]
        assert comparison.text("a", "b").diff is None, "nothing is left"
        assert Comparison().text("a", "b").diff is not None

    def test_the_characters_of_an_answer_are_bounded(self) -> None:
        """Few long lines are quick to compare, and would make a long answer."""
        comparison = Comparison()
        assert comparison.text("a" * (MOST_CHARACTERS - 3), "b").diff is not None
        assert comparison.text("ab", "c").diff is None
        assert comparison.text("a", "b").diff is not None
        assert comparison.text("", "b").diff is None

    def test_unchanged_texts_do_not_count_towards_the_bounds(self) -> None:
        """A hundred languages that stayed leave room for the one that changed."""
        comparison = Comparison()
        long = "a" * MOST_CHARACTERS
        assert comparison.text(long, long).changed is False
        assert comparison.text("a", "b").diff is not None

    def test_all_diffs_of_an_answer_share_its_limit(
        self, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Subject, body and translations share it, in this order."""
        monkeypatch.setattr("tasks.services.differences.MOST_CHARACTERS", 40)
        texts = {tag: {"body": tag * 5} for tag in ("de", "fr", "it")}
        template = two(
            tasks,
            {"body": "a" * 10, "translations": {tag: {"body": "x" * 5} for tag in texts}},
            {"body": "b" * 10, "translations": texts | {"fr": {"body": "f"}}},
        )
        answer = diff(tasks, template)
        assert answer["body"]["diff"] is not None
        changed = answer["languages"]["changed"]
        assert [(change["language"], change["body"]["changed"]) for change in changed] == [
            ("de", True),
            ("fr", True),
            ("it", True),
        ]
        assert [change["body"]["diff"] is None for change in changed] == [False, True, True]
