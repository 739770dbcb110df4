"""``maintenance.*``: what is cleaned up, what never is, and that one run acts at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from db.addresses import Database
from db.maintenance import EVERY_TABLE
from db.maintenance.prune_versions import prune_versions
from db.maintenance.purge_templates import purge_templates
from db.session import make_engine
from tasks.configuration import Housekeeping
from tests.factories import templates
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

KEEP = Housekeeping()
ALL = ("maintenance.vacuum", "maintenance.analyze")
CLEANUPS = ("maintenance.purge_templates", "maintenance.prune_versions")


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


@pytest.fixture
def engine(servers: LocalStack) -> Iterator[Engine]:
    """Give an engine of its own."""
    engine = make_engine(Database(url=servers.postgres.url))
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _clean(tasks: Tasks) -> None:
    """Clean up what other tests left, so that the numbers are those of one test."""
    for task in CLEANUPS:
        tasks.call(task)


def deleted_ago(tasks: Tasks, rows: Rows, *, hours: float) -> str:
    """Publish and soft-delete a template some hours ago."""
    template = templates.published(tasks, translations={"de": {"body": "{{ name }}"}})
    tasks.call("template.delete", {"template_id": template})
    rows.run(
        "UPDATE templates SET deleted_at = now() - make_interval(secs => %(seconds)s)"
        " WHERE template_id = %(id)s",
        seconds=hours * 3600,
        id=template,
    )
    return template


def with_versions(tasks: Tasks, count: int, **keywords: Any) -> str:  # noqa: ANN401 - keywords of the last publish
    """Return a template with that many versions."""
    template = templates.created(tasks)
    for number in range(count):
        last = keywords if number == count - 1 else {}
        tasks.call("version.publish", {"template_id": template, "body": "x"} | last)
    return template


def names(tasks: Tasks, template: str) -> list[str]:
    """Return the versions that are there, the newest first."""
    listed = tasks.call("version.list", {"template_id": template})["versions"]
    return [version["version"] for version in listed]


class TestPurge:
    """``maintenance.purge_templates``: soft-deleted long enough ago."""

    @pytest.mark.parametrize("hours", [1, 24], ids=["an hour", "a day"])
    def test_templates_are_purged_after_30_days(self, tasks: Tasks, rows: Rows, hours: int) -> None:
        """One side stays and can be restored, the other goes with all its rows."""
        limit = KEEP.purge_after_days * 24
        assert limit == 30 * 24
        young = deleted_ago(tasks, rows, hours=limit - hours)
        old = deleted_ago(tasks, rows, hours=limit + hours)
        assert tasks.call("maintenance.purge_templates") == {
            "dry_run": False,
            "skipped": False,
            "deleted": 1,
            "batches": 1,
            "skipped_batches": 0,
        }
        assert rows.counts(old) == (0, 0, 0, 0)
        assert rows.counts(young) == (1, 1, 1, 1)
        tasks.call("template.restore", {"template_id": young})
        with pytest.raises(RefusedError) as caught:
            tasks.call("template.restore", {"template_id": old})
        assert caught.value.code == "template_not_found"

    def test_templates_that_are_not_deleted_are_never_purged(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """Age alone is no reason."""
        template = templates.published(tasks)
        rows.run(
            "UPDATE templates SET created_at = now() - interval '9 years',"
            " updated_at = now() - interval '9 years' WHERE template_id = %(id)s",
            id=template,
        )
        assert tasks.call("maintenance.purge_templates")["deleted"] == 0
        assert rows.counts(template) == (1, 1, 0, 1)

    def test_a_dry_run_counts_and_changes_nothing(self, tasks: Tasks, rows: Rows) -> None:
        """It says what the next run will do."""
        old = [deleted_ago(tasks, rows, hours=31 * 24) for _ in range(3)]
        answer = tasks.call("maintenance.purge_templates", {"dry_run": True})
        assert answer == {
            "dry_run": True,
            "skipped": False,
            "deleted": 3,
            "batches": 0,
            "skipped_batches": 0,
        }
        assert all(rows.counts(template) == (1, 1, 1, 1) for template in old)
        assert tasks.call("maintenance.purge_templates")["deleted"] == 3
        assert tasks.call("maintenance.purge_templates")["deleted"] == 0

    def test_cleanups_work_in_batches(self, tasks: Tasks, rows: Rows, engine: Engine) -> None:
        """Each transaction deletes few, so that none of its locks is held for long."""
        for _ in range(5):
            deleted_ago(tasks, rows, hours=31 * 24)
        done = purge_templates(engine, days=30, batch=6, dry_run=False)
        assert (done.rows, done.batches, done.skipped) == (5, 3, False)

    def test_a_locked_template_is_left_to_the_next_run(self, tasks: Tasks, rows: Rows) -> None:
        """A template that is being restored is not waited for, and not purged."""
        old, busy = (deleted_ago(tasks, rows, hours=31 * 24) for _ in range(2))
        lock = "SELECT 1 FROM templates WHERE template_id = %(id)s FOR NO KEY UPDATE"
        with rows.held(lock, id=busy):
            assert tasks.call("maintenance.purge_templates")["deleted"] == 1
        assert rows.counts(old) == (0, 0, 0, 0)
        assert tasks.call("maintenance.purge_templates")["deleted"] == 1
        assert rows.counts(busy) == (0, 0, 0, 0)


class TestPrune:
    """``maintenance.prune_versions``: all but the newest of each template, and the current one."""

    def test_prune_versions_keeps_the_newest_ten_of_each_template(self, tasks: Tasks) -> None:
        """And each template is counted for itself."""
        assert KEEP.keep_versions == 10
        prunable, full = with_versions(tasks, 12), with_versions(tasks, 10)
        assert tasks.call("maintenance.prune_versions") == {
            "dry_run": False,
            "skipped": False,
            "deleted": 2,
            "batches": 1,
            "skipped_batches": 0,
        }
        assert names(tasks, prunable) == [str(number) for number in range(12, 2, -1)]
        assert len(names(tasks, full)) == 10

    def test_prune_versions_keeps_the_current_version_however_old(self, tasks: Tasks) -> None:
        """After a rollback the oldest version is what recipients get."""
        template = with_versions(tasks, 13)
        tasks.call("version.activate", {"template_id": template, "version": "1"})
        assert tasks.call("maintenance.prune_versions")["deleted"] == 2
        assert names(tasks, template) == [str(number) for number in range(13, 3, -1)] + ["1"]
        assert tasks.call("render.one", {"template_id": template})["version"] == "1"
        assert tasks.call("maintenance.prune_versions")["deleted"] == 0

    def test_versions_are_pruned_by_time_not_by_name(self, tasks: Tasks) -> None:
        """``a`` was published last, and is not the first to go."""
        template = with_versions(tasks, 11, version="a")
        tasks.call("maintenance.prune_versions")
        assert names(tasks, template)[0] == "a"
        assert len(names(tasks, template)) == 10

    def test_translations_are_pruned_with_their_version(self, tasks: Tasks, rows: Rows) -> None:
        """They are not counted: a version is what was deleted."""
        template = templates.published(tasks, translations={"de": {"body": "{{ name }}"}})
        for _ in range(10):
            message = {"template_id": template, "body": "x", "carry_translations": False}
            tasks.call("version.publish", message)
        assert rows.counts(template)[2] == 1
        assert tasks.call("maintenance.prune_versions")["deleted"] == 1
        assert rows.counts(template) == (1, 10, 0, 1)

    def test_a_dry_run_counts_and_changes_nothing(self, tasks: Tasks) -> None:
        """The same number as the run that follows it, the current version spared."""
        template = with_versions(tasks, 13)
        tasks.call("version.activate", {"template_id": template, "version": "2"})
        answer = tasks.call("maintenance.prune_versions", {"dry_run": True})
        assert answer == {
            "dry_run": True,
            "skipped": False,
            "deleted": 2,
            "batches": 0,
            "skipped_batches": 0,
        }
        assert len(names(tasks, template)) == 13
        assert tasks.call("maintenance.prune_versions")["deleted"] == 2

    def test_cleanups_work_in_batches(self, tasks: Tasks, engine: Engine) -> None:
        """Each transaction takes the versions of few templates."""
        prunable = [with_versions(tasks, 3) for _ in range(5)]
        before = [names(tasks, template) for template in prunable]
        counted = prune_versions(engine, keep=2, batch=2, dry_run=True)
        done = prune_versions(engine, keep=2, batch=2, dry_run=False)
        assert done.rows == counted.rows >= 5
        assert done.batches >= 3
        assert [names(tasks, template) for template in prunable] == [old[:2] for old in before]

    def test_a_template_with_a_concurrent_publish_is_left_to_the_next_run(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """Which of its versions is current may change this moment."""
        busy, other = with_versions(tasks, 11), with_versions(tasks, 11)
        lock = "SELECT 1 FROM templates WHERE template_id = %(id)s FOR NO KEY UPDATE"
        with rows.held(lock, id=busy):
            assert tasks.call("maintenance.prune_versions")["deleted"] == 1
            assert (len(names(tasks, busy)), len(names(tasks, other))) == (11, 10)
        assert tasks.call("maintenance.prune_versions")["deleted"] == 1


class TestTables:
    """``maintenance.vacuum`` and ``maintenance.analyze``."""

    def counters(self, rows: Rows, column: str) -> dict[str, int]:
        """Return how often each table was vacuumed or analysed by hand."""
        counts = rows.run(
            "SELECT relname, vacuum_count, analyze_count FROM pg_stat_user_tables"
            " WHERE relname <> 'alembic_version'"
        )
        index = {"vacuum": 1, "analyze": 2}[column]
        return {row[0]: row[index] for row in counts}

    @pytest.mark.parametrize(("task", "counts"), [("vacuum", True), ("analyze", False)])
    def test_each_table_is_vacuumed_or_analyzed_once(
        self, tasks: Tasks, rows: Rows, task: str, *, counts: bool
    ) -> None:
        """The answer has the seconds of each; a vacuum renews the statistics too."""
        vacuumed, analysed = self.counters(rows, "vacuum"), self.counters(rows, "analyze")
        answer = tasks.call(f"maintenance.{task}")
        assert (answer["dry_run"], answer["skipped"]) == (False, False)
        assert tuple(answer["tables"]) == EVERY_TABLE
        assert all(seconds >= 0 for seconds in answer["tables"].values())
        assert self.counters(rows, "vacuum") == {
            table: count + counts for table, count in vacuumed.items()
        }
        assert self.counters(rows, "analyze") == {
            table: count + 1 for table, count in analysed.items()
        }

    @pytest.mark.parametrize("task", ALL)
    def test_a_dry_run_touches_nothing(self, tasks: Tasks, rows: Rows, task: str) -> None:
        """It names the tables that would be done."""
        before = self.counters(rows, "vacuum"), self.counters(rows, "analyze")
        answer = tasks.call(task, {"dry_run": True})
        assert answer["dry_run"] is True
        assert tuple(answer["tables"]) == EVERY_TABLE
        assert (self.counters(rows, "vacuum"), self.counters(rows, "analyze")) == before


@pytest.mark.parametrize("task", [*ALL, *CLEANUPS])
def test_a_concurrent_second_run_is_skipped(tasks: Tasks, rows: Rows, task: str) -> None:
    """Two beats may be up: the lock of the task's name lets one act, and blocks no other task."""
    lock = "SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))"
    with rows.held(lock, name=task):
        assert tasks.call(task)["skipped"] is True
        others = [other for other in (*ALL, *CLEANUPS) if other != task]
        assert [tasks.call(other)["skipped"] for other in others] == [False] * 3
    assert tasks.call(task)["skipped"] is False


@pytest.mark.parametrize("task", CLEANUPS)
def test_a_skipped_run_deletes_nothing(tasks: Tasks, rows: Rows, task: str) -> None:
    """The one that holds the lock does the work."""
    purgeable = deleted_ago(tasks, rows, hours=31 * 24)
    prunable = with_versions(tasks, 11)
    lock = "SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))"
    with rows.held(lock, name=task):
        assert tasks.call(task) == {
            "dry_run": False,
            "skipped": True,
            "deleted": 0,
            "batches": 0,
            "skipped_batches": 0,
        }
    assert rows.counts(purgeable)[0] == 1
    assert rows.counts(prunable)[1] == 11


def test_renders_continue_during_a_purge(tasks: Tasks, rows: Rows) -> None:
    """A reader waits for no cleanup, whose rows it does not see any more anyway."""
    template = templates.published(tasks, "x")
    deleted_ago(tasks, rows, hours=31 * 24)
    lock = "DELETE FROM templates WHERE deleted_at < now() - interval '30 days'"
    with rows.held(lock):
        assert tasks.call("render.one", {"template_id": template})["body"] == "x"
