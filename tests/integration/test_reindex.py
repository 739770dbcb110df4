"""``maintenance.reindex``: every index anew while it is in use, and no leftovers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import pytest
from sqlalchemy import Engine, event

from db.addresses import Database
from db.cluster.processes import wait_until
from db.errors import OperationError
from db.locks import alone
from db.maintenance import EVERY_TABLE, reindex
from db.maintenance.tables import vacuum
from db.session import make_engine
from tests.factories import templates
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

BROKEN: LiteralString = """
UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(%(name)s AS regclass)
"""
RENAMED: LiteralString = "UPDATE pg_class SET relname = %(name)s WHERE relname = 'leftover'"
INDEXES: LiteralString = """
SELECT i.relname, i.relfilenode, x.indisvalid
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON x.indrelid IN (c.oid, c.reltoastrelid)
WHERE c.relname = ANY(%(tables)s)
"""


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


@pytest.fixture
def engine(servers: LocalStack) -> Iterator[Engine]:
    """Give an engine of its own."""
    engine = make_engine(Database(url=servers.postgres.url, statement_timeout=60))
    yield engine
    engine.dispose()


def files(rows: Rows) -> dict[str, int]:
    """Return the file of each index of the tables; all are valid."""
    indexes = rows.run(INDEXES, tables=list(EVERY_TABLE))
    assert all(row[2] for row in indexes)
    return {row[0]: row[1] for row in indexes}


def with_leftovers(rows: Rows) -> dict[str, int]:
    """Return the file of each index of the tables, valid or not."""
    return {row[0]: row[1] for row in rows.run(INDEXES, tables=list(EVERY_TABLE))}


def test_every_index_is_rebuilt(tasks: Tasks, rows: Rows) -> None:
    """Those of keys and of long texts too, under the names that they had."""
    before = files(rows)
    answer = tasks.call("maintenance.reindex")
    assert (answer["dry_run"], answer["skipped"]) == (False, False)
    assert tuple(answer["tables"]) == EVERY_TABLE
    assert all(seconds > 0 for seconds in answer["tables"].values())
    after = files(rows)
    assert after.keys() == before.keys()
    assert any(name.startswith("pg_toast") for name in after)
    assert not set(after.values()) & set(before.values())


def test_a_dry_run_rebuilds_nothing(tasks: Tasks, rows: Rows) -> None:
    """It names the tables that would be done."""
    before = files(rows)
    answer = tasks.call("maintenance.reindex", {"dry_run": True})
    assert tuple(answer["tables"]) == EVERY_TABLE
    assert files(rows) == before


@pytest.mark.parametrize("suffix", ["_ccnew", "_ccold", "_ccnew1"])
def test_invalid_indexes_of_failed_runs_are_dropped(tasks: Tasks, rows: Rows, suffix: str) -> None:
    """Such an index is of no use to readers, and costs every writer."""
    name = f"idx_templates_type{suffix}"
    rows.run("CREATE INDEX leftover ON templates (type)")
    rows.run(BROKEN, name="leftover")
    rows.run(RENAMED, name=name)
    before = {name for name, *_ in rows.run(INDEXES, tables=list(EVERY_TABLE))}
    tasks.call("maintenance.reindex")
    assert before - files(rows).keys() == {name}


def test_an_operators_invalid_index_is_rebuilt(tasks: Tasks, rows: Rows) -> None:
    """It is somebody's, whose CREATE INDEX CONCURRENTLY failed."""
    rows.run("CREATE INDEX somebodys ON templates (name)")
    try:
        rows.run(BROKEN, name="somebodys")
        tasks.call("maintenance.reindex")
        assert "somebodys" in files(rows)
    finally:
        rows.run("DROP INDEX somebodys")


def test_readers_and_writers_continue_during_a_reindex(
    tasks: Tasks, rows: Rows, engine: Engine
) -> None:
    """While one build waits for a transaction, nobody waits for the build."""
    template = templates.published(tasks, "x")
    waiting: LiteralString = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'REINDEX%%' AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(1) as pool:
        with rows.held("LOCK TABLE templates IN ROW EXCLUSIVE MODE"):
            running = pool.submit(reindex.reindex, engine, dry_run=False)
            assert wait_until(lambda: bool(rows.run(waiting)), 30)
            assert tasks.call("render.one", {"template_id": template})["body"] == "x"
            tasks.call("version.publish", {"template_id": template, "body": "y"})
            assert tasks.call("render.one", {"template_id": template})["body"] == "y"
            assert rows.run(waiting)
        assert set(running.result(60).seconds) == set(EVERY_TABLE)


def test_indexes_in_use_are_reported_and_all_others_rebuilt(
    tasks: Tasks, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction without end stops the indexes of its table only, and leaves nothing invalid."""
    monkeypatch.setattr(reindex, "LOCK_TIMEOUT", "50ms")
    before = files(rows)
    with rows.held("LOCK TABLE template_partials IN ROW EXCLUSIVE MODE"):
        with pytest.raises(Exception, match="template_partials") as caught:
            tasks.call("maintenance.reindex")
        assert caught.value.args[0] == "maintenance_failed"
        assert caught.value.args[2][0]["type"] == "in_use"
    after = with_leftovers(rows)
    assert {name for name in before if before[name] == after[name]} == {
        "pk_template_partials",
        "idx_template_partials_partial_id",
    }
    tasks.call("maintenance.reindex")
    assert files(rows).keys() == before.keys()


def test_the_lock_of_a_run_blocks_no_other_session(engine: Engine, rows: Rows) -> None:
    """The transaction that holds it has no snapshot, for which builds and vacuums would wait."""
    with alone(engine, "maintenance.anything") as free:
        assert free
        held = rows.run(
            "SELECT a.backend_xmin, a.backend_xid FROM pg_locks AS l"
            " JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory'"
        )
        assert held == [(None, None)]
        assert reindex.reindex(engine, dry_run=False).seconds


def test_the_lock_of_a_run_has_no_timeout(engine: Engine) -> None:
    """A role may have some, and a run takes hours."""
    statements: list[str] = []

    def collect(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", collect)
    try:
        with alone(engine, "maintenance.anything") as free:
            assert free
    finally:
        event.remove(engine, "before_cursor_execute", collect)
    assert "SET LOCAL idle_in_transaction_session_timeout = 0" in statements
    has_another = (engine.dialect.server_version_info or ()) >= (17,)
    assert ("SET LOCAL transaction_timeout = 0" in statements) is has_another


def test_a_second_run_at_the_same_time_is_skipped(tasks: Tasks, engine: Engine) -> None:
    """As all of maintenance does."""
    with alone(engine, "maintenance.reindex"):
        assert tasks.call("maintenance.reindex")["skipped"] is True


def test_a_role_without_permission_is_an_error(rows: Rows, servers: LocalStack) -> None:
    """PostgreSQL itself warns, does nothing, and calls it a success."""
    rows.run("CREATE ROLE nobody_special LOGIN PASSWORD 'p'")
    try:
        url = make_engine(Database(url=servers.postgres.url)).url
        other = url.set(username="nobody_special", password="p")  # noqa: S106 - of this test
        weak = make_engine(Database(url=other.render_as_string(hide_password=False)))
        with pytest.raises(OperationError, match="skipped the table templates") as caught:
            vacuum(weak, dry_run=False)
        assert caught.value.kind == "not_done"
        weak.dispose()
    finally:
        rows.run("DROP ROLE nobody_special")
