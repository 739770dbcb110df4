"""Cleanups of many rows: small transactions, none in anybody's way, and a next run that goes on."""

from collections.abc import Callable, Iterator
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from db.addresses import Database
from db.maintenance import batches
from db.maintenance.batches import Deleted
from db.maintenance.prune_records import RUNS_KEPT, prune_records
from db.maintenance.prune_versions import prune_versions
from db.maintenance.purge_templates import purge_templates
from db.session import make_engine
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

FILL: LiteralString = """
WITH t AS (
    INSERT INTO templates (template_id, name, type, deleted_at)
    SELECT %(name)s || '-' || n, 'Many', 'email', now() - make_interval(days => %(days)s)
    FROM generate_series(1, %(templates)s) AS n
    RETURNING id
), v AS (
    INSERT INTO template_versions (template_id, version, body, is_current, created_at)
    SELECT t.id, n, 'x', n = %(current)s, now() - make_interval(days => 1000 - n)
    FROM t CROSS JOIN generate_series(1, %(versions)s) AS n
    RETURNING id
)
INSERT INTO template_translations (template_version_id, language_code, body)
SELECT v.id, 'l' || n, 'x' FROM v CROSS JOIN generate_series(1, %(languages)s) AS n
"""
VERSIONS: LiteralString = """
SELECT v.version FROM template_versions AS v JOIN templates AS t ON t.id = v.template_id
WHERE t.template_id = %(name)s ORDER BY v.created_at
"""
WATCH: LiteralString = """
CREATE TABLE deletes (transaction bigint);
CREATE FUNCTION note_delete() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN INSERT INTO deletes VALUES (txid_current()); RETURN NULL; END';
CREATE TRIGGER watch AFTER DELETE ON templates
FOR EACH ROW EXECUTE FUNCTION note_delete();
CREATE TRIGGER watch AFTER DELETE ON template_versions
FOR EACH ROW EXECUTE FUNCTION note_delete();
CREATE TRIGGER watch AFTER DELETE ON template_translations
FOR EACH ROW EXECUTE FUNCTION note_delete();
"""
UNWATCH: LiteralString = "DROP FUNCTION note_delete() CASCADE; DROP TABLE deletes"
FOREIGN_KEYS: LiteralString = """
SELECT c.conrelid::regclass::text, a.attname, c.confdeltype
FROM pg_constraint AS c
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""


@pytest.fixture
def rows(servers: LocalStack, tasks: Tasks) -> Iterator[Rows]:
    """Look at the database of the tasks, which has nothing to clean up."""
    rows = Rows(servers.postgres.url)
    rows.run("DELETE FROM templates")
    rows.run("DELETE FROM idempotency_records")
    yield rows
    rows.run("DELETE FROM templates")


@pytest.fixture
def engine(servers: LocalStack) -> Iterator[Engine]:
    """Give an engine of its own."""
    engine = make_engine(Database(url=servers.postgres.url))
    yield engine
    engine.dispose()


@pytest.fixture
def sizes(rows: Rows, servers: LocalStack) -> Iterator[Callable[[], list[int]]]:
    """Give a function that returns how many rows each transaction has deleted."""

    def found() -> list[int]:
        every = rows.run("SELECT count(*) FROM deletes GROUP BY transaction")
        return [int(row[0]) for row in every]

    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        connection.execute(WATCH)
        yield found
        connection.execute(UNWATCH)


def fill(rows: Rows, **columns: Any) -> None:  # noqa: ANN401 - of the statement
    """Store templates, soft-deleted ``days`` days ago if not None."""
    usual = {"name": "many", "days": None, "templates": 1, "versions": 1, "languages": 0}
    made = usual | columns
    rows.run(FILL, **({"current": made["versions"]} | made))


class TestSizeOfABatch:
    """No transaction deletes many more rows than it may, however they are spread."""

    @pytest.mark.parametrize(
        ("templates", "versions", "languages", "expected"),
        [(40, 1, 0, 4), (20, 1, 2, 4), (2, 50, 0, 6), (2, 20, 3, 10)],
    )
    def test_a_purge_deletes_in_batches_of_bounded_size(  # noqa: PLR0913, PLR0917 - the table's columns
        self,
        rows: Rows,
        engine: Engine,
        sizes: Callable[[], list[int]],
        templates: int,
        versions: int,
        languages: int,
        expected: int,
    ) -> None:
        """Many small templates share a transaction; one with many versions takes several."""
        fill(rows, days=40, templates=templates, versions=versions, languages=languages)
        done = purge_templates(engine, days=30, batch=20, dry_run=False)
        assert (done.rows, done.skipped_batches) == (templates, 0)
        assert rows.run("SELECT count(*) FROM template_versions") == [(0,)]
        assert done.batches == expected
        assert max(sizes()) <= 20

    @pytest.mark.parametrize("languages", [0, 3])
    def test_pruning_counts_translations_towards_the_batch_size(
        self, rows: Rows, engine: Engine, sizes: Callable[[], list[int]], languages: int
    ) -> None:
        """Translations count too."""
        fill(rows, templates=3, versions=40, languages=languages)
        done = prune_versions(engine, keep=10, batch=20, dry_run=False)
        assert (done.rows, done.skipped_batches) == (90, 0)
        assert max(sizes()) <= 20
        assert done.batches == len(sizes())

    def test_versions_larger_than_a_batch_are_deleted_one_by_one(
        self, rows: Rows, engine: Engine
    ) -> None:
        """They go one by one instead of never."""
        fill(rows, templates=1, versions=4, languages=9)
        fill(rows, name="gone", days=40, templates=2, versions=2, languages=9)
        assert prune_versions(engine, keep=2, batch=5, dry_run=False).batches == 2
        assert purge_templates(engine, days=30, batch=5, dry_run=False).rows == 2

    def test_pruning_visits_all_pages_of_templates(
        self, rows: Rows, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of the next page are not forgotten."""
        monkeypatch.setattr("db.maintenance.prune_versions.MOST_LOCKED", 2)
        fill(rows, templates=7, versions=3)
        done = prune_versions(engine, keep=1, batch=100, dry_run=False)
        assert (done.rows, done.batches) == (14, 4)

    def test_a_purge_goes_on_behind_the_templates_that_it_has_found(
        self, rows: Rows, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those that were deleted at the same moment are not forgotten, nor seen twice."""
        monkeypatch.setattr("db.maintenance.purge_templates.PAGE_SIZE", 3)
        fill(rows, days=40, templates=10)
        fill(rows, name="restored", templates=2)
        fill(rows, name="ever", days=40)
        rows.run("UPDATE templates SET deleted_at = '-infinity' WHERE template_id = 'ever-1'")
        done = purge_templates(engine, days=30, batch=4, dry_run=False)
        assert (done.rows, done.skipped_batches) == (11, 0)
        assert count(rows, purge=True) == 2


class TestInTheWay:
    """A batch that meets a lock is left to the next run, and all others are done."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        impatient = "SELECT set_config('lock_timeout', '50ms', true)"
        monkeypatch.setattr(batches, "_SETTINGS", text(impatient))

    @pytest.mark.parametrize("purge", [True, False])
    def test_a_version_with_a_row_lock_is_left_to_the_next_run(
        self, rows: Rows, engine: Engine, *, purge: bool
    ) -> None:
        """A translation is being written to it, whose foreign key locks it."""
        fill(rows, days=40 if purge else None, templates=4, versions=3)
        lock: LiteralString = (
            "SELECT 1 FROM template_versions AS v JOIN templates AS t ON t.id = v.template_id"
            " WHERE t.template_id = 'many-2' AND v.version = '1' FOR KEY SHARE OF v"
        )

        def run() -> Deleted:
            if purge:
                return purge_templates(engine, days=30, batch=4, dry_run=False)
            return prune_versions(engine, keep=2, batch=1, dry_run=False)

        with rows.held(lock):
            done = run()
            assert done.skipped_batches == 1
            assert rows.run(VERSIONS, name="many-2")
        again = run()
        assert (again.rows + done.rows, again.skipped_batches) == (4, 0)

    def test_a_locked_table_ends_the_run_and_is_reported(self, rows: Rows, engine: Engine) -> None:
        """As by a migration: the run ends, and says that it left something."""
        fill(rows, days=40, templates=2, versions=12)
        with rows.held("LOCK TABLE templates"):
            for done in (
                purge_templates(engine, days=30, batch=5, dry_run=False),
                prune_versions(engine, keep=1, batch=5, dry_run=False),
            ):
                assert (done.rows, done.skipped_batches) == (0, 1)
        with rows.held("LOCK TABLE idempotency_records"):
            done = prune_records(engine, days=1, batch=5, dry_run=False)
            assert (done.rows, done.skipped_batches) == (0, 1)


class TestCutOff:
    """A run that ends in the middle has done what it has done; the next one does the rest."""

    @pytest.mark.parametrize("purge", [True, False])
    def test_an_interrupted_run_is_continued_by_the_next(
        self,
        rows: Rows,
        engine: Engine,
        servers: LocalStack,
        monkeypatch: pytest.MonkeyPatch,
        *,
        purge: bool,
    ) -> None:
        """As after a time limit, or the end of its process."""
        fill(rows, days=40 if purge else None, templates=9, versions=11)
        victim = make_engine(Database(url=servers.postgres.url), application_name="victim")
        before = count(rows, purge=purge)
        rests = iter(range(4))

        def end(_: float) -> None:
            if next(rests) == 3:
                rows.run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'victim'"
                )

        def run(engine: Engine) -> Deleted:
            if purge:
                return purge_templates(engine, days=30, batch=12, dry_run=False)
            return prune_versions(engine, keep=10, batch=1, dry_run=False)

        with monkeypatch.context() as patch:
            patch.setattr(batches, "sleep", end)
            with pytest.raises(OperationalError):
                run(victim)
        victim.dispose()
        assert before - count(rows, purge=purge) == 4
        assert run(engine).rows == 5
        assert run(engine).rows == 0

    def test_a_template_restored_in_between_can_be_rendered(
        self, rows: Rows, engine: Engine, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its current version would have been the last to go."""
        fill(rows, days=40, templates=1, versions=50, current=1)
        monkeypatch.setattr(
            batches, "sleep", lambda _: tasks.call("template.restore", {"template_id": "many-1"})
        )
        done = purge_templates(engine, days=30, batch=10, dry_run=False)
        assert (done.rows, done.batches) == (0, 1)
        assert tasks.call("render.one", {"template_id": "many-1"})["version"] == "1"
        assert len(rows.run(VERSIONS, name="many-1")) == 40


class TestRecords:
    """``maintenance.prune_records`` in the database."""

    def test_records_expire_after_the_configured_days(self, rows: Rows, engine: Engine) -> None:
        """One side stays, the other goes, in batches."""
        rows.run(
            "INSERT INTO idempotency_records (key, task, content_sha256, created_at)"
            " SELECT 'k' || n, 't', '', now() - make_interval(hours => n) FROM"
            " generate_series(1, 100) AS n"
        )
        counted = prune_records(engine, days=2, batch=20, dry_run=True)
        done = prune_records(engine, days=2, batch=20, dry_run=False)
        assert (counted.rows, done.rows, done.batches) == (53, 53, 3)
        left = rows.run("SELECT max(created_at) < now(), count(*) FROM idempotency_records")
        assert left == [(True, 47)]
        assert prune_records(engine, days=2, batch=20, dry_run=False).rows == 0

    def test_a_run_with_a_row_lock_is_left_to_the_next_run(
        self, rows: Rows, engine: Engine, servers: LocalStack
    ) -> None:
        """All others are deleted."""
        rows.run(
            "INSERT INTO maintenance_runs (task, id, state, created_at)"
            " SELECT 'test.locked', 'locked-' || n, 'done', now() - make_interval(mins => n)"
            " FROM generate_series(1, %(count)s) AS n",
            count=RUNS_KEPT + 20,
        )
        with psycopg.connect(servers.postgres.url) as other:
            other.execute(
                "SELECT FROM maintenance_runs WHERE id = %s FOR UPDATE", [f"locked-{RUNS_KEPT + 5}"]
            )
            done = prune_records(engine, days=30, batch=15, dry_run=False)
            assert (done.rows, done.skipped_batches) == (19, 0)
        assert prune_records(engine, days=30, batch=15, dry_run=False).rows == 1
        rows.run("DELETE FROM maintenance_runs WHERE task = 'test.locked'")

    def test_the_newest_runs_of_each_task_are_kept(self, rows: Rows, engine: Engine) -> None:
        """However many another task has."""
        rows.run(
            "INSERT INTO maintenance_runs (task, id, state, created_at)"
            " SELECT task, 'prune-' || n, 'done', now() - make_interval(mins => n)"
            " FROM unnest(ARRAY['test.often', 'test.seldom']) AS task"
            " CROSS JOIN generate_series(1, %(count)s) AS n"
            " WHERE task = 'test.often' OR n > %(count)s - 3",
            count=RUNS_KEPT + 50,
        )
        assert prune_records(engine, days=30, batch=30, dry_run=False).rows == 50
        left = rows.run(
            "SELECT task, count(*), max(created_at) > now() - interval '2 minutes'"
            " FROM maintenance_runs WHERE task LIKE 'test.%%' GROUP BY task ORDER BY task"
        )
        rows.run("DELETE FROM maintenance_runs WHERE task LIKE 'test.%%'")
        assert left == [("test.often", RUNS_KEPT, True), ("test.seldom", 3, False)]


def test_every_cascade_has_an_index(rows: Rows, servers: LocalStack) -> None:
    """A delete looks for the rows that go with it; without an index it would read whole tables."""
    keys = rows.run(FOREIGN_KEYS)
    assert len(keys) >= 4
    with psycopg.connect(servers.postgres.url) as connection:
        connection.execute("SET enable_seqscan = off")
        for table, column, action in keys:
            assert action == "c"
            # What the trigger of the foreign key runs: ri_triggers.c, RI_FKey_cascade_del.
            statement = sql.SQL("EXPLAIN DELETE FROM ONLY {} WHERE {} = {}").format(
                sql.Identifier(table), sql.Identifier(column), str(UUID(int=0))
            )
            plan = connection.execute(statement)
            plan_text = "\n".join(row[0] for row in plan)
            assert "Seq Scan" not in plan_text, f"{table}.{column}:\n{plan_text}"
            assert f"({column} = " in plan_text


def count(rows: Rows, *, purge: bool) -> int:
    """Return how many templates, or versions, there are."""
    if purge:
        return int(rows.run("SELECT count(*) FROM templates")[0][0])
    return int(rows.run("SELECT count(*) FROM template_versions")[0][0])
