"""Conditions of writes, drafts, and versions that become current at a time."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

LATER = "2099-12-24T09:00:00+01:00"
PAST = "2020-01-01T00:00:00Z"
JOB = "maintenance.activate_scheduled"


@pytest.fixture(scope="module")
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


@pytest.fixture(autouse=True)
def _nothing_is_due(rows: Rows) -> None:
    """Leave the schedules of other tests alone."""
    rows.run("UPDATE template_versions SET activate_at = NULL")


def publish(tasks: Tasks, template: str, body: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Publish a version."""
    return tasks.call("version.publish", {"template_id": template, "body": body} | keywords)


def refused(tasks: Tasks, task: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - a message's keywords
    """Return the error of a message."""
    with pytest.raises(RefusedError) as caught:
        tasks.call(task, keywords)
    return caught.value


def current(tasks: Tasks, template: str) -> str | None:
    """Return the name of the current version."""
    details = tasks.call("template.get", {"template_id": template})
    name: str | None = details["template"]["current_version"]
    return name


def exported(tasks: Tasks, template: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Return one template with its digest."""
    page = tasks.call("template.export", {"template_ids": [template]} | keywords)
    (only,) = page["templates"]
    return dict(only)


def body_of(tasks: Tasks, template: str, version: str | None = None) -> str:
    """Return a rendered body."""
    message = {"template_id": template, "version": version, "variables": {"name": "A"}}
    return str(tasks.call("render.one", message)["body"])


class TestConditions:
    """Every write may say what it expects."""

    @each(
        ("task", "keywords"),
        [
            ("template.update", {"name": "B"}),
            ("template.update", {"is_active": False}),
            ("template.delete", {}),
            ("template.restore", {}),
            ("version.publish", {"body": "<p>New {{ name }}</p>"}),
            ("version.activate", {"version": "1"}),
            ("translation.upsert", {"language_code": "fr", "body": "<p>{{ name }}</p>"}),
            ("translation.delete", {"language_code": "de"}),
        ],
    )
    def test_each_write_is_refused_after_another(
        self, tasks: Tasks, task: str, keywords: dict[str, Any]
    ) -> None:
        """By the version, or by the digest of what was read; then it passes with what is true."""
        translations = {"de": {"body": "<p>{{ name }}</p>"}}
        template = templates.published(tasks, translations=translations)
        before = exported(tasks, template)
        message = {"template_id": template} | keywords
        wrong = refused(tasks, task, **message, expected_version="7")
        (problem,) = wrong.details
        assert (wrong.code, problem["expected"], problem["current"]) == (
            "version_conflict",
            "7",
            "1",
        )
        wrong = refused(tasks, task, **message, expected_version=0)
        assert (wrong.details[0]["expected"], wrong.details[0]["current"]) == (0, "1")
        tasks.call("template.update", {"template_id": template, "description": "new"})
        wrong = refused(tasks, task, **message, expected_digest=before["digest"])
        (problem,) = wrong.details
        now = exported(tasks, template)
        assert (wrong.code, problem["path"]) == ("version_conflict", "expected_digest")
        assert (problem["expected"], problem["current"]) == (before["digest"], now["digest"])
        assert problem["current_version"] == "1"
        tasks.call(task, message | {"expected_version": "1", "expected_digest": now["digest"]})

    def test_zero_stands_for_no_current_version(self, tasks: Tasks) -> None:
        """It is a number, and so no name of a version."""
        template = templates.created(tasks)
        publish(tasks, template, "one", version="0", activate=False, expected_version=0)
        error = refused(
            tasks, "version.publish", template_id=template, body="x", expected_version="0"
        )
        assert error.details[0]["current"] == 0
        publish(tasks, template, "two", expected_version=0)
        error = refused(
            tasks, "version.publish", template_id=template, body="x", expected_version=0
        )
        assert error.details[0]["current"] == "1"

    @each("wrong", [1, -1, True, 1.5, "", "a b", [], {"a": 1}])
    def test_what_is_no_version_is_refused(self, tasks: Tasks, wrong: object) -> None:
        """With the place."""
        error = refused(tasks, "template.update", template_id="a", name="B", expected_version=wrong)
        assert (error.code, error.paths) == ("invalid_message", {"expected_version"})


class TestDrafts:
    """Versions that were never current."""

    def test_a_draft_is_rendered_replaced_and_then_fixed(self, tasks: Tasks) -> None:
        """Under one name, until it becomes current."""
        template = templates.published(tasks)
        first = publish(tasks, template, "draft {{ name }}", activate=False)
        assert (first["version"], first["is_current"]) == ("2", False)
        assert body_of(tasks, template, "2") == "draft A"
        draft = exported(tasks, template, version="2")["version"]
        assert (draft["is_draft"], draft["activated_at"]) == (True, None)
        again = {"activate": False, "version": "2", "replace_draft": True}
        mine = again | {"expected_draft": draft["digest"]}
        second = publish(tasks, template, "better {{ name }}", **mine)
        assert (second["version"], body_of(tasks, template, "2")) == ("2", "better A")
        assert second["version_id"] != first["version_id"]
        error = refused(tasks, "version.publish", template_id=template, body="x", **mine)
        assert (error.code, error.paths) == ("version_conflict", {"expected_draft"})
        assert body_of(tasks, template) == "<p>Dear A</p>"
        tasks.call("version.activate", {"template_id": template, "version": "2"})
        error = refused(tasks, "version.publish", template_id=template, body="x", **again)
        assert (error.code, error.paths) == ("version_not_draft", {"replace_draft"})
        publish(tasks, template, "third {{ name }}")
        error = refused(tasks, "version.publish", template_id=template, body="x", **again)
        assert error.code == "version_not_draft"

    @each("keywords", [{"replace_draft": True}, {"version": "1", "expected_draft": "a" * 64}])
    def test_a_draft_to_replace_is_named(self, tasks: Tasks, keywords: dict[str, Any]) -> None:
        """Before anything is read."""
        error = refused(tasks, "version.publish", template_id="a", body="x", **keywords)
        assert error.code == "invalid_message"


class TestSchedules:
    """Versions with a time."""

    def test_a_scheduled_version_is_visible_and_cancelled(self, tasks: Tasks) -> None:
        """Where versions are listed, and who publishes meanwhile is warned."""
        template = templates.published(tasks)
        answer = publish(tasks, template, "new {{ name }}", activate_at=LATER)
        assert (answer["is_current"], answer["activate_at"]) == (False, "2099-12-24T08:00:00Z")
        newest, oldest = templates.versions(tasks, template)
        assert (newest["activate_at"], newest["is_draft"]) == ("2099-12-24T08:00:00Z", True)
        assert (oldest["activate_at"], oldest["is_draft"]) == (None, False)
        details = tasks.call("template.get", {"template_id": template})
        assert details["scheduled"] == [{"version": "2", "activate_at": "2099-12-24T08:00:00Z"}]
        tasks.call(JOB)
        assert current(tasks, template) == "1"
        warned = publish(tasks, template, "now {{ name }}")["warnings"]
        assert [each["code"] for each in warned] == ["scheduled_version"]
        message = {"template_id": template, "version": "2"}
        for cancelled in (True, False):
            assert tasks.call("version.unschedule", message)["cancelled"] is cancelled
        assert templates.versions(tasks, template)[1]["activate_at"] is None

    def test_a_version_becomes_current_once_at_its_time(
        self, tasks: Tasks, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One of several runs at once does it, and says so."""
        template = templates.published(tasks)
        publish(tasks, template, "new {{ name }}", activate_at=PAST)
        assert tasks.call(JOB, {"dry_run": True}) == {"dry_run": True, "activated": 1, "failed": 0}
        assert current(tasks, template) == "1"
        start = threading.Barrier(3)

        def run(_: int) -> int:
            start.wait(timeout=30)
            return int(tasks.call(JOB)["activated"])

        with caplog.at_level(logging.INFO), ThreadPoolExecutor(3) as pool:
            assert sorted(pool.map(run, range(3))) == [0, 0, 1]
        events = [line for line in caplog.messages if line.startswith("version_activated")]
        assert len(events) == 1
        assert f"template_id={template} version=2 late_seconds=" in events[0]
        assert body_of(tasks, template) == "new A"
        newest = templates.versions(tasks, template)[0]
        assert (newest["is_draft"], newest["activate_at"]) == (False, None)
        assert newest["activated_at"] is not None

    def test_versions_that_are_due_together_become_current_in_order(self, tasks: Tasks) -> None:
        """After an outage the last of them stays, as it would have without."""
        template = templates.published(tasks)
        publish(tasks, template, "b {{ name }}", activate_at="2021-01-01T00:00:00Z")
        activate = {"template_id": template, "version": "1", "activate_at": "2021-01-02T00:00:00Z"}
        assert tasks.call("version.activate", activate)["activate_at"] == "2021-01-02T00:00:00Z"
        assert tasks.call(JOB)["activated"] == 2
        assert current(tasks, template) == "1"

    def test_a_schedule_that_expects_the_current_version_is_done(self, tasks: Tasks) -> None:
        """Nobody else has published since."""
        template = templates.published(tasks)
        publish(tasks, template, "a {{ name }}", activate_at=PAST, expected_version="1")
        assert tasks.call(JOB) == {"dry_run": False, "activated": 1, "failed": 0}
        assert current(tasks, template) == "2"

    def test_a_schedule_that_is_overtaken_fails_visibly(
        self, tasks: Tasks, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Somebody else has published since: nothing is overwritten unnoticed."""
        template = templates.published(tasks)
        publish(tasks, template, "a {{ name }}", activate_at=PAST, expected_version="1")
        publish(tasks, template, "b {{ name }}")
        with caplog.at_level(logging.ERROR):
            assert tasks.call(JOB) == {"dry_run": False, "activated": 0, "failed": 1}
        assert "activation_failed" in caplog.text
        assert current(tasks, template) == "3"
        failed = templates.versions(tasks, template)[1]
        assert (failed["schedule_error"], failed["activate_at"]) == ("version_conflict", None)
        tasks.call("version.activate", {"template_id": template, "version": "2"})
        assert templates.versions(tasks, template)[1]["schedule_error"] is None

    def test_a_schedule_of_a_deleted_template_fails(self, tasks: Tasks) -> None:
        """Restored, it has its current version as before."""
        template = templates.published(tasks)
        publish(tasks, template, "a {{ name }}", activate_at=PAST)
        tasks.call("template.delete", {"template_id": template})
        assert tasks.call(JOB)["failed"] == 1
        tasks.call("template.restore", {"template_id": template})
        assert current(tasks, template) == "1"
        assert templates.versions(tasks, template)[0]["schedule_error"] == "template_not_found"

    def test_what_could_not_be_activated_now_is_not_scheduled(self, tasks: Tasks) -> None:
        """Its author is there to read it."""
        partial = templates.published(tasks, "x", type="partial")
        template = templates.published(tasks, f"{{% include '{partial}' %}}")
        publish(tasks, template, "alone")
        tasks.call("template.delete", {"template_id": partial})
        message = {"template_id": template, "version": "1", "activate_at": LATER}
        assert refused(tasks, "version.activate", **message).code == "template_not_found"

    def test_pruning_keeps_scheduled_versions(self, tasks: Tasks) -> None:
        """However many are newer."""
        template = templates.published(tasks)
        publish(tasks, template, "new {{ name }}", activate_at=LATER)
        for number in range(11):
            publish(tasks, template, f"{number} {{{{ name }}}}")
        tasks.call("maintenance.prune_versions")
        names = [version["version"] for version in templates.versions(tasks, template)]
        assert names == [str(number) for number in range(13, 3, -1)] + ["2"]

    @each("wrong", ["2026-12-24", "2026-12-24T09:00:00", "soon", 5, True, "2026-13-01T00:00:00Z"])
    def test_a_time_has_an_offset(self, tasks: Tasks, wrong: object) -> None:
        """Nobody knows which 9 o'clock is meant without it."""
        error = refused(tasks, "version.publish", template_id="a", body="x", activate_at=wrong)
        assert (error.code, error.paths) == ("invalid_message", {"activate_at"})


class TestExport:
    """Pages of templates with all that their authors wrote."""

    def test_an_export_is_what_was_sent_page_by_page(self, tasks: Tasks) -> None:
        """Byte for byte; a template without a version is there too."""
        prefix = templates.template_id("export")
        sent = {
            "subject": "Hi {{ name }}",
            "body": "<style>p { color: red }</style>\r\n<p>{{ name }}</p>\n",
            "inline_css": True,
            "variables": [{"name": "name", "type": "string", "required": True, "example": "A"}],
            "metadata": {"language": "en", "n": 1.50},
            "translations": {"de": {"body": "<style>p { color: red }</style><p>{{ name }}</p>"}},
        }
        for number in range(3):
            templates.created(tasks, template_id=f"{prefix}.{number}", metadata={"n": number})
        tasks.call("version.publish", {"template_id": f"{prefix}.1"} | sent)
        page = tasks.call("template.export", {"prefix": prefix, "limit": 2})
        assert [each["template_id"] for each in page["templates"]] == [f"{prefix}.0", f"{prefix}.1"]
        assert page["next"] == f"{prefix}.1"
        empty, full = page["templates"]
        assert (empty["version"], empty["current_version"]) == (None, None)
        german = full["version"]["translations"]["de"]
        assert (german.pop("state"), german["body"]) == (
            "current",
            sent["translations"]["de"]["body"],  # type: ignore[index]
        )
        assert {key: full["version"][key] for key in sent if key != "translations"} == {
            key: value for key, value in sent.items() if key != "translations"
        }
        digests = tasks.call("template.export", {"prefix": prefix, "content": False})
        assert [each["digest"] for each in digests["templates"][:2]] == [
            empty["digest"],
            full["digest"],
        ]
        assert "body" not in digests["templates"][1]["version"]
        assert digests["next"] is None
        rest = tasks.call("template.export", {"prefix": prefix, "after": page["next"]})
        assert ([each["template_id"] for each in rest["templates"]], rest["next"]) == (
            [f"{prefix}.2"],
            None,
        )

    def test_an_older_version_is_exported_beside_the_name_of_the_current_one(
        self, tasks: Tasks
    ) -> None:
        """And a draft of a template that has none."""
        template = templates.published(tasks)
        publish(tasks, template, "new {{ name }}")
        older = exported(tasks, template, version="1")
        assert (older["version"]["version"], older["current_version"]) == ("1", "2")
        draft = templates.created(tasks)
        publish(tasks, draft, "x", activate=False)
        only = exported(tasks, draft, version="1")
        assert (only["version"]["version"], only["current_version"]) == ("1", None)

    def test_a_page_ends_where_it_would_be_too_large(
        self, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At least one template is on it."""
        prefix = templates.template_id("large")
        for number in range(3):
            templates.created(tasks, template_id=f"{prefix}.{number}")
            publish(tasks, f"{prefix}.{number}", "x" * 600)
        monkeypatch.setattr("tasks.services.exports.PAGE_BYTES", 1000)
        seen: list[str] = []
        after = None
        while True:
            page = tasks.call("template.export", {"prefix": prefix, "after": after})
            assert len(page["templates"]) == 1
            seen += [each["template_id"] for each in page["templates"]]
            after = page["next"]
            if after is None:
                break
        assert seen == [f"{prefix}.{number}" for number in range(3)]
