"""``db ...``: the guide's queries on a real server, and the sessions that they end."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from db.addresses import Database
from db.cluster.private import PrivateCluster
from db.cluster.processes import wait_until
from db.monitoring import terminate
from db.session import make_engine
from tests.support.operators import Operator, private_server, run
from worker.cli.database import COMMANDS, database

SECRET = "geheim"  # noqa: S105 - what must not be shown
SESSIONS = "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'guest'"
PLAIN = [name for name, place in COMMANDS.items() if "monitoring:" in place and name != "explain"]
"""What can be shown of an empty database."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrivateCluster, str]]:
    """PostgreSQL of its own, since settings and sessions belong to the whole server."""
    settings = {"shared_preload_libraries": "pg_stat_statements", "fsync": "off"}
    with private_server(tmp_path_factory.mktemp("watched"), settings) as server:
        yield server


@pytest.fixture(scope="module")
def url(server: tuple[PrivateCluster, str]) -> str:
    """Return the address of the database."""
    return server[1]


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Give connections that are closed whatever becomes of the test."""
    engine = make_engine(Database(url=url))
    yield engine
    engine.dispose()


@pytest.fixture
def operator(url: str) -> Operator:
    """Give an operator with all rights."""
    return Operator(url)


@pytest.fixture(scope="module")
def unprivileged(url: str) -> Operator:
    """Give an operator whose role may do no more than connect."""
    run(url, "CREATE ROLE unprivileged LOGIN")
    return Operator(url.replace("scratch@", "unprivileged@"))


@contextmanager
def guest(url: str, *statements: str, name: str = "guest") -> Iterator[psycopg.Connection]:
    """Keep a session open that has run these statements, in a transaction if one says BEGIN."""
    connection = psycopg.connect(url, autocommit=True, application_name=name)
    try:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
    finally:
        connection.close()


@contextmanager
def waiting(url: str, statement: str) -> Iterator[Future[Any]]:
    """Run a statement that has to wait for a lock, in a thread."""
    with ThreadPoolExecutor(1) as pool, guest(url, name="waiting") as connection:
        try:
            future = pool.submit(connection.execute, statement.encode())
            asked = "SELECT 1 FROM pg_locks WHERE NOT granted"
            assert wait_until(lambda: bool(run(url, asked)), 20)
            yield future
        finally:
            connection.cancel()
            future.exception(20)


def gone(url: str, pid: int) -> bool:
    """Tell whether a session has ended."""
    return pid not in {row[0] for row in run(url, "SELECT pid FROM pg_stat_activity")}


@pytest.mark.parametrize("view", PLAIN)
def test_every_command_prints_a_table_or_json(operator: Operator, view: str) -> None:
    """A table for people, an object of lists for programs, on tables without a row as well."""
    assert operator.output(view).strip()
    assert isinstance(operator.json(view), dict)


@pytest.mark.parametrize("view", PLAIN)
def test_a_role_without_privileges_sees_what_it_may(unprivileged: Operator, view: str) -> None:
    """No view needs a superuser; what is hidden from the role is left out."""
    assert isinstance(unprivileged.json(view), dict)


def test_a_wrong_database_url_is_an_error_without_a_password() -> None:
    """Exit status 1, no traceback, and no password."""
    away = Operator(f"postgresql://someone:{SECRET}@127.0.0.1:1/none")
    output = away.refused("connections")
    assert "Connection refused" in output or "connection failed" in output
    assert SECRET not in output


class TestSessions:
    """``connections``, ``long-queries`` and ``kill-idle``."""

    def test_idle_and_idle_in_transaction_are_counted_separately(
        self, operator: Operator, url: str
    ) -> None:
        """And the command's own session is left out."""
        with guest(url), guest(url), guest(url, "BEGIN", "SELECT 1"):
            connections = operator.json("connections")
        states = {
            row["state"]: row["sessions"]
            for row in connections["connections"]
            if row["application"] == "guest"
        }
        assert states == {"idle": 2, "idle in transaction": 1}
        applications = {row["application"] for row in connections["connections"]}
        assert not any("operator" in name for name in applications)
        limits = connections["limits"][0]
        assert limits["free"] == limits["most"] - limits["reserved"] - limits["used"]

    def test_long_queries_shows_statements_without_values(
        self, operator: Operator, url: str
    ) -> None:
        """With ``--full`` whoever asks for them gets them."""
        with guest(url, "BEGIN", f"SELECT '{SECRET}', 12"):
            shown = operator.json("long-queries", "--over", "0s")["sessions"]
            full = operator.json("long-queries", "--over", "0s", "--full")["sessions"]
            table = operator.output("long-queries", "--over", "0s")
            assert operator.json("long-queries", "--over", "1h")["sessions"] == []
        (row,) = [row for row in shown if row["application"] == "guest"]
        assert row["query"] == "SELECT ***, ***"
        assert row["query_seconds"] is None
        assert row["transaction_seconds"] >= 0
        assert SECRET in str(full)
        assert SECRET not in table

    def test_escape_sequences_of_clients_are_neutralized(
        self, operator: Operator, url: str
    ) -> None:
        """Neither its escape sequences nor its markup are obeyed."""
        with guest(url, "BEGIN", 'SELECT 1 AS "\x1b[2J", 2 AS "[/b]x[i]"'):
            output = operator.output("long-queries", "--over", "0s")
        assert 'AS "?[2J"' in output
        assert '"[/b]x[i]"' in output

    @pytest.mark.parametrize(
        ("state", "ended"),
        [("idle", {"idle"}), ("in-transaction", {"idle in transaction"}), ("both", None)],
    )
    def test_idle_sessions_are_terminated(
        self, operator: Operator, url: str, state: str, ended: set[str] | None
    ) -> None:
        """Those of the state that was asked for; one that works is not."""
        with (
            guest(url),
            guest(url, "BEGIN", "SELECT 1"),
            ThreadPoolExecutor(1) as pool,
            guest(url, name="busy") as busy,
        ):
            future = pool.submit(busy.execute, "SELECT pg_sleep(60)")
            assert wait_until(lambda: ("busy", "active") in run(url, _NAMES), 20)
            before = {row[1] for row in run(url, SESSIONS)}
            options = ("kill-idle", "--older-than", "0s", "--state", state)
            result = operator.json(*options, "--yes")
            after = {row[1] for row in run(url, SESSIONS)}
            assert ("busy", "active") in run(url, _NAMES)
            busy.cancel()
            assert isinstance(future.exception(20), psycopg.errors.QueryCanceled)
        assert before == {"idle", "idle in transaction"}
        assert after == before - (ended or before)
        assert {row["outcome"] for row in result["outcomes"]} == {"ended"}
        assert len(result["outcomes"]) == len(result["sessions"]) == len(ended or before)

    def test_no_session_is_terminated_without_a_confirmation(
        self, operator: Operator, url: str
    ) -> None:
        """Nobody is at the terminal; JSON alone only shows."""
        with guest(url) as connection:
            pid = connection.info.backend_pid
            output = operator.refused("kill-idle", "--older-than", "0s")
            assert "--yes" in output
            assert str(pid) in output
            shown = operator.json("kill-idle", "--older-than", "0s")
            assert pid in {row["pid"] for row in shown["sessions"]}
            assert shown["outcomes"] == []
            assert not gone(url, pid)

    @pytest.mark.parametrize(("answer", "ends"), [("y\n", True), ("n\n", False)])
    def test_kill_idle_asks_for_confirmation(
        self, url: str, monkeypatch: pytest.MonkeyPatch, answer: str, *, ends: bool
    ) -> None:
        """The question says how many there are of each kind."""
        monkeypatch.setattr("worker.cli.output.is_terminal", lambda: True)
        with guest(url) as connection:
            done = CliRunner().invoke(
                database,
                ["kill-idle", "--older-than", "0s"],
                input=answer,
                env={"DATABASE_URL": url},
            )
            assert "(1 idle)" in done.output
            assert done.exit_code == (0 if ends else 1)
            assert gone(url, connection.info.backend_pid) is ends

    def test_a_recently_idle_session_is_not_terminated(self, operator: Operator, url: str) -> None:
        """The guide's hour is the default."""
        with guest(url):
            assert operator.json("kill-idle", "--yes") == {"sessions": [], "outcomes": []}

    def test_only_sessions_of_this_database_are_terminated(
        self, operator: Operator, url: str
    ) -> None:
        """Another one has operators of its own."""
        other = url.replace("/watched?", "/postgres?")
        with guest(other) as connection:
            assert operator.json("kill-idle", "--older-than", "0s", "--yes")["sessions"] == []
            assert not gone(url, connection.info.backend_pid)

    def test_a_role_without_permission_gets_a_remedy(
        self, unprivileged: Operator, url: str
    ) -> None:
        """To see who is idle takes pg_read_all_stats, to end a session pg_signal_backend."""
        run(url, "GRANT pg_read_all_stats TO unprivileged")
        try:
            with guest(url) as connection:
                output = unprivileged.refused("kill-idle", "--older-than", "0s", "--yes")
                assert "pg_signal_backend" in output
                assert not gone(url, connection.info.backend_pid)
        finally:
            run(url, "REVOKE pg_read_all_stats FROM unprivileged")

    def test_a_session_that_became_active_is_not_terminated(self, engine: Engine, url: str) -> None:
        """Between the question and the answer it may have ended, or begun to work."""
        with guest(url) as ended, guest(url) as active:
            pid = ended.info.backend_pid
            sessions = terminate.idle_sessions(engine, 0, [terminate.IDLE])
            ended.close()
            # The server ends a session after its client has left.
            assert wait_until(lambda: gone(url, pid), 20)
            active.execute("BEGIN")
            active.execute("SELECT 1")
            done = terminate.terminate_sessions(engine, sessions)
            assert {row["pid"] for row in done} == {pid, active.info.backend_pid}
            assert {row["outcome"] for row in done} == {"gone"}
            assert not gone(url, active.info.backend_pid)


class TestLocks:
    """``locks`` and ``kill-blocking``."""

    def test_locks_shows_blocking_and_waiting_sessions(self, operator: Operator, url: str) -> None:
        """Both sides, the table, and neither's values."""
        lock = "LOCK TABLE templates"
        with guest(url, "BEGIN", lock, f"SELECT '{SECRET}'") as blocker:
            pid = blocker.info.backend_pid
            with waiting(url, f"TABLE templates -- {SECRET}"):
                (row,) = operator.json("locks")["waiting"]
                table = operator.output("locks")
        assert row["blocking_pid"] == pid
        assert (row["relation"], row["mode"]) == ("templates", "AccessShareLock")
        assert (row["application"], row["blocking_application"]) == ("waiting", "guest")
        assert row["query"] == "TABLE templates"
        assert row["blocking_query"] == "SELECT ***"
        assert row["blocking_state"] == "idle in transaction"
        assert SECRET not in table

    def test_the_blocking_session_is_terminated(self, operator: Operator, url: str) -> None:
        """Who waits goes on; those in the middle of the queue are left."""
        with (
            guest(url, "BEGIN", "LOCK TABLE templates") as blocker,
            waiting(url, "SELECT 1 FROM templates") as waiter,
        ):
            pid = blocker.info.backend_pid
            sessions = operator.json("kill-blocking")["sessions"]
            assert [(row["pid"], row["blocks"]) for row in sessions] == [(pid, 1)]
            assert "ended: 1" in operator.output("kill-blocking", "--yes")
            waiter.result(20)
        assert operator.json("kill-blocking")["sessions"] == []

    def test_a_single_blocking_session_is_terminated_by_pid(
        self, operator: Operator, url: str
    ) -> None:
        """One that blocks nobody is refused, and so is one that waits itself."""
        with guest(url) as bystander, guest(url, "BEGIN", "LOCK TABLE templates") as blocker:
            with waiting(url, "SELECT 1 FROM templates") as waiter:
                (row,) = operator.json("locks")["waiting"]
                for other in (bystander.info.backend_pid, row["pid"]):
                    output = operator.refused("kill-blocking", str(other), "--yes")
                    assert "db locks" in output
                pid = blocker.info.backend_pid
                done = operator.json("kill-blocking", str(pid), "--yes")
                assert done["outcomes"] == [{"pid": pid, "outcome": "ended"}]
                waiter.result(20)
            assert not gone(url, bystander.info.backend_pid)

    def test_a_locked_table_is_an_error_instead_of_a_wait(
        self, operator: Operator, url: str
    ) -> None:
        """Its size cannot be read, and the command fails instead of waiting."""
        with guest(url, "BEGIN", "LOCK TABLE templates"):
            assert "db locks" in operator.refused("sizes")


def test_top_shows_sessions_locks_waits_and_sizes(operator: Operator, url: str) -> None:
    """At one moment; also while a table is locked against readers, whose size is unknown then."""
    reading = "SELECT 'geheim' FROM alembic_version"
    with guest(url, "BEGIN; LOCK TABLE alembic_version"), waiting(url, reading):
        now = operator.json("top", "--once")
        text = operator.output("top")
    assert {"connections", "sessions", "locks", "waits"} <= now.keys()
    assert "relations" not in now
    blocked = [session for session in now["sessions"] if session["blocked_by"]]
    assert [session["application"] for session in blocked] == ["waiting"]
    assert {"type": "Lock", "event": "relation", "sessions": 1} in now["waits"]
    assert SECRET not in text + json.dumps(now)
    assert "waits for" in text
    assert operator.json("top")["relations"]


class TestSizes:
    """``sizes``, ``cache`` and ``index-usage``."""

    @pytest.fixture
    def odd(self, url: str) -> Iterator[None]:
        """Make a table with a name to be quoted, one in parts, and a sequence."""
        run(
            url,
            'CREATE TABLE "Odd ""Name" (id bigserial PRIMARY KEY, body text);'
            "CREATE TABLE parted (id int, body text) PARTITION BY RANGE (id);"
            "CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);"
            "CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);"
            "ALTER TABLE parted ADD PRIMARY KEY (id);"
            "ALTER TABLE part_1 ALTER body SET STORAGE EXTERNAL;"
            "INSERT INTO parted SELECT n, repeat('x', 9000) FROM generate_series(50, 149) AS n;"
            "ANALYZE parted",
        )
        yield
        run(url, 'DROP TABLE parted, "Odd ""Name"')

    @pytest.mark.usefixtures("odd")
    def test_sizes_add_up_to_the_databases_size(self, operator: Operator, url: str) -> None:
        """Sequences, TOAST and partitions; the parts add up to what PostgreSQL says."""
        sizes = operator.json("sizes")
        rows = {row["relation"]: row for row in sizes["relations"]}
        assert {'Odd "Name', 'Odd "Name_id_seq', "parted", "templates"} <= set(rows)
        assert not {"part_1", "part_2"} & set(rows)
        assert rows["parted"]["kind"] == "partitioned table"
        assert rows["parted"]["rows"] == 100
        assert rows["parted"]["toast_bytes"] > 50 * 9000
        assert rows['Odd "Name_id_seq']["kind"] == "sequence"
        for row in rows.values():
            parts = row["table_bytes"] + row["index_bytes"] + row["toast_bytes"]
            assert row["total_bytes"] == parts
        expected = run(
            url,
            "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree('parted')",
        )
        assert rows["parted"]["total_bytes"] == expected[0][0]
        assert sizes["database"][0]["total_bytes"] > sum(
            row["total_bytes"] for row in rows.values()
        )
        assert 'Odd "Name' in operator.output("sizes")

    @pytest.mark.usefixtures("odd")
    def test_an_unread_table_has_no_hit_ratio(self, operator: Operator) -> None:
        """A table that was never read has none, and divides by nothing."""
        rows = {row["table"]: row for row in operator.json("cache")["tables"]}
        assert rows['public.Odd "Name']["table_percent"] is None
        together = rows.pop("all")
        assert together["hit"] == sum(row["hit"] for row in rows.values())

    def test_an_index_is_counted_when_it_is_used(self, operator: Operator, url: str) -> None:
        """The statistics are those of committed transactions."""

        def scans() -> int:
            rows = operator.json("index-usage")["indexes"]
            return int(
                next(row["scans"] for row in rows if row["index"] == "idx_templates_template_id")
            )

        before = scans()
        run(url, "SET enable_seqscan = off; SELECT 1 FROM templates WHERE template_id = 'x'")
        assert wait_until(lambda: scans() == before + 1, 20)


class TestIndexes:
    """``missing-indexes`` and ``explain``."""

    @pytest.fixture
    def children(self, url: str) -> Iterator[None]:
        """Make foreign keys with and without an index that serves them."""
        run(
            url,
            "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));"
            "CREATE TABLE bare"
            " (a int, b int, FOREIGN KEY (a, b) REFERENCES parent ON DELETE CASCADE);"
            "CREATE TABLE turned (a int, b int, c int, FOREIGN KEY (a, b) REFERENCES parent);"
            "CREATE INDEX ON turned (b, a, c);"
            "CREATE TABLE behind (a int, b int, c int, FOREIGN KEY (a, b) REFERENCES parent);"
            "CREATE INDEX ON behind (c, a, b);"
            "CREATE TABLE partly (a int, b int, FOREIGN KEY (a, b) REFERENCES parent);"
            "CREATE INDEX ON partly (a, b) WHERE a > 0",
        )
        yield
        run(url, "DROP TABLE bare, turned, behind, partly, parent")

    @pytest.mark.usefixtures("children")
    def test_foreign_keys_without_an_index_are_listed(self, operator: Operator, url: str) -> None:
        """Order does not matter, place does; an index of some rows serves no delete."""
        foreign_keys = operator.json("missing-indexes")["foreign_keys"]
        assert {row["table"] for row in foreign_keys} == {"bare", "behind", "partly"}
        assert {row["table"] for row in foreign_keys if row["cascades"]} == {"bare"}
        for row in foreign_keys:
            run(url, row["remedy"])
        assert operator.json("missing-indexes")["foreign_keys"] == []

    def test_every_foreign_key_of_the_service_has_an_index(self, operator: Operator) -> None:
        """Every cascading delete of this service is supported."""
        assert operator.json("missing-indexes")["foreign_keys"] == []

    def test_explain_needs_an_existing_template(self, operator: Operator) -> None:
        """Nor for one that is not there."""
        assert "no template" in operator.refused("explain", "nobody")

    def test_explain_shows_whether_a_render_uses_indexes(
        self, operator: Operator, url: str
    ) -> None:
        """Few rows are read whole, many are searched; a lost index is missed."""
        run(
            url,
            "INSERT INTO templates (template_id, name, type) VALUES ('few', 'n', 'sms');"
            "ANALYZE templates, template_versions",
        )
        try:
            plan = operator.json("explain", "few")
            assert "templates" in plan["whole_tables"]
            assert plan["large_tables"] == []
            assert "so few pages" in plan["verdict"]
            run(
                url,
                "INSERT INTO templates (template_id, name, type)"
                " SELECT 'many_' || n, repeat('n', 200), 'sms'"
                " FROM generate_series(1, 5000) AS n; ANALYZE templates",
            )
            plan = operator.json("explain", "many_7")
            assert plan["template_id"] == "many_7"
            assert "idx_templates_template_id" in plan["indexes"]
            assert "templates" not in plan["whole_tables"]
            assert "Buffers:" in operator.output("explain")
            run(url, "DROP INDEX idx_templates_template_id")
            plan = operator.json("explain", "many_7")
            assert plan["large_tables"] == ["templates"]
            assert "alembic upgrade head" in plan["verdict"]
        finally:
            run(
                url,
                "TRUNCATE templates CASCADE; CREATE UNIQUE INDEX IF NOT EXISTS"
                " idx_templates_template_id ON templates (template_id)",
            )


class TestUpkeep:
    """``autovacuum``, ``bloat`` and ``pool``."""

    def test_autovacuum_apply_sets_the_recommended_settings(
        self, operator: Operator, url: str
    ) -> None:
        """To the three tables, and the thresholds follow."""
        run(url, "ALTER TABLE templates SET (autovacuum_enabled = false, fillfactor = 90)")
        before = {row["table"]: row for row in operator.json("autovacuum")["tables"]}
        assert before["templates"]["enabled"] is False
        after = {row["table"]: row for row in operator.json("autovacuum", "--apply")["tables"]}
        for table in ("templates", "template_versions", "template_translations"):
            assert after[table]["enabled"] is True
            assert "autovacuum_vacuum_scale_factor=0.1" in after[table]["own_settings"]
            assert "autovacuum_analyze_scale_factor=0.05" in after[table]["own_settings"]
        assert "fillfactor=90" in after["templates"]["own_settings"]
        assert after["idempotency_records"]["own_settings"] is None
        run(url, "ALTER TABLE templates RESET (fillfactor)")

    def test_the_vacuum_threshold_follows_the_servers_settings(
        self, operator: Operator, url: str
    ) -> None:
        """50 rows and a tenth of the table."""
        run(
            url,
            "CREATE TABLE counted AS SELECT generate_series(1, 1000) AS n;"
            "ALTER TABLE counted SET (autovacuum_vacuum_scale_factor = 0.1);"
            "ANALYZE counted",
        )
        rows = {row["table"]: row for row in operator.json("autovacuum")["tables"]}
        run(url, "DROP TABLE counted")
        assert rows["counted"]["threshold"] == 50 + 100
        assert rows["counted"]["analyze_threshold"] == 50 + 100

    def test_only_the_owner_may_change_autovacuum_settings(self, unprivileged: Operator) -> None:
        """Other roles get an error that says which role to use."""
        assert "owner" in unprivileged.refused("autovacuum", "--apply")

    def test_bloat_is_reported_with_advice(self, operator: Operator, url: str) -> None:
        """By the statistics without pgstattuple, on disk with it; each with what gives it back."""
        run(
            url,
            "CREATE TABLE holey (n int PRIMARY KEY, body text) WITH (autovacuum_enabled = false);"
            "INSERT INTO holey SELECT n, repeat('x', 100) FROM generate_series(1, 60000) AS n",
        )
        run(url, "DELETE FROM holey WHERE n % 10 > 0")
        try:
            assert wait_until(lambda: _holey(operator.json("bloat"))["dead"] > 0, 20)
            row = _holey(operator.json("bloat"))
            assert row["advice"].startswith("VACUUM")
            assert "free_percent" not in row
            row = _holey(operator.json("bloat", "--setup"))
            assert row["advice"] == 'VACUUM (ANALYZE) "public"."holey"'
            assert row["dead_percent"] > 50
            run(url, row["advice"])
            report = operator.json("bloat", "--indexes")
            assert _holey(report)["free_percent"] > 50
            assert "locks readers out" in _holey(report)["advice"]
            (index,) = [one for one in report["indexes"] if one["index"] == "holey_pkey"]
            assert index["density_percent"] < 50
            assert index["advice"] == 'REINDEX INDEX CONCURRENTLY "public"."holey_pkey"'
            run(url, index["advice"])
            report = operator.json("bloat", "--indexes")
            (index,) = [one for one in report["indexes"] if one["index"] == "holey_pkey"]
            assert index["advice"] is None
            assert "VACUUM FULL" not in operator.output("bloat").replace(
                "VACUUM FULL locks readers out", ""
            )
        finally:
            run(url, "DROP TABLE holey; DROP EXTENSION IF EXISTS pgstattuple")

    def test_pool_compares_connections_with_the_servers_limit(
        self, operator: Operator, url: str
    ) -> None:
        """Pool and overflow times processes, against what the server takes."""
        operator.environment["TEMPLATE_SERVICE_DB_POOL_SIZE"] = "8"
        operator.environment["TEMPLATE_SERVICE_DB_MAX_OVERFLOW"] = "2"
        most = int(run(url, "SHOW max_connections")[0][0])
        comparison = operator.json("pool", "--processes", "2")
        assert (comparison["together"], comparison["usable"], comparison["fits"]) == (
            20,
            most - 3,
            True,
        )
        comparison = operator.json("pool", "--processes", "50")
        assert (comparison["together"], comparison["fits"]) == (500, False)
        assert "TEMPLATE_SERVICE_DB_POOL_SIZE=1 " in comparison["verdict"]


class TestSlowLog:
    """``slow-log on|off|status``."""

    def test_the_slow_log_contains_no_values(
        self, operator: Operator, server: tuple[PrivateCluster, str]
    ) -> None:
        """In the server's log of new sessions, until it is switched off again."""
        cluster, url = server
        assert operator.json("slow-log", "status")["milliseconds"] is None
        state = operator.json("slow-log", "on", "--milliseconds", "0")
        assert (state["milliseconds"], state["values"], state["here"]) == (0, False, True)
        with psycopg.connect(url) as connection:
            connection.execute("SELECT %s::text AS slow_one", [SECRET])
            with pytest.raises(psycopg.errors.InvalidTextRepresentation):
                connection.execute("SELECT (%s::text || 'x')::int AS failed_one", [SECRET])
        assert operator.json("slow-log", "off")["milliseconds"] is None
        run(url, "SELECT 1 AS after_it_was_off")
        log = cluster.log()
        assert re.search(r"duration: .* SELECT \$1::text AS slow_one", log)
        assert "after_it_was_off" not in log
        parameters = [line for line in log.splitlines() if "arameters:" in line]
        assert not any(SECRET in line for line in parameters), parameters

    def test_a_duration_with_a_unit_is_read(self, operator: Operator, url: str) -> None:
        """An operator may have set it by hand for the whole server."""
        run(url, "ALTER SYSTEM SET log_min_duration_statement = '2min'")
        run(url, "SELECT pg_reload_conf()")
        try:
            assert wait_until(
                lambda: operator.json("slow-log", "status")["milliseconds"] == 120_000, 20
            )
            state = operator.json("slow-log", "status")
            assert (state["here"], state["values"]) == (False, True)
            assert "whole server" in operator.output("slow-log", "status")
        finally:
            run(url, "ALTER SYSTEM RESET log_min_duration_statement")
            run(url, "SELECT pg_reload_conf()")

    def test_only_a_superuser_may_change_the_slow_log(
        self, unprivileged: Operator, operator: Operator
    ) -> None:
        """Nothing has changed, and the way out is named."""
        assert "GRANT SET ON PARAMETER" in unprivileged.refused("slow-log", "on")
        assert operator.json("slow-log", "status")["here"] is False


class TestSlowQueries:
    """``slow-queries``."""

    def test_slow_queries_are_set_up_shown_and_reset(
        self, operator: Operator, unprivileged: Operator, url: str
    ) -> None:
        """Told how to set it up, set up, shown without values, and forgotten."""
        assert "slow-queries --setup" in operator.refused("slow-queries")
        assert "superuser" in unprivileged.refused("slow-queries", "--setup")
        try:
            operator.output("slow-queries", "--setup", "--reset")
            run(url, f"SELECT pg_sleep(0.05), '{SECRET}' AS slowest, 12 AS number")
            statements = operator.json("slow-queries", "--rows", "1")["statements"]
            assert len(statements) == 1
            assert statements[0]["query"] == "SELECT pg_sleep($1), $2 AS slowest, $3 AS number"
            assert statements[0]["calls"] == 1
            assert statements[0]["mean_ms"] >= 50
            assert SECRET not in operator.output("slow-queries")
            operator.output("slow-queries", "--reset")
            rows = operator.json("slow-queries", "--rows", "100")["statements"]
            assert not any("slowest" in row["query"] for row in rows)
        finally:
            run(url, "DROP EXTENSION IF EXISTS pg_stat_statements")


_NAMES = "SELECT application_name, state FROM pg_stat_activity"


def _holey(output: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in output["tables"] if row["table"] == "holey")
    return row
