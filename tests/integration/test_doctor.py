"""``db doctor``: each thing that it looks for is really caused once, found, and mended."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from db import migrations
from db.addresses import Database
from db.backup.catalogue import Catalogue, Entry, StoredFile, open_store
from db.cluster.children import run_program
from db.cluster.private import PrivateCluster
from db.cluster.processes import wait_until
from db.cluster.programs import Programs
from db.monitoring import doctor
from db.monitoring.checks import server as versions
from db.monitoring.checks.finding import Expected, Limits
from db.recovery import catalogue as base_backups
from db.recovery.catalogue import BaseBackup
from db.session import make_engine
from tests.support.operators import Operator, private_server, run

APPLICATION = "only_rows"
HEALTHY = {
    "shared_preload_libraries": "pg_stat_statements",
    "archive_mode": "on",
    "autovacuum_naptime": "1h",
    "max_connections": "25",
    "max_prepared_transactions": "2",
}
KNOWN = Expected(
    revision=migrations.head(), application_role=APPLICATION, pool=10, programs=(99, 0)
)
NONE = Limits()
# The server of the wheel is a release behind at times, which is found, and no fault of a test.
ALWAYS = {"server_version"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """PostgreSQL of its own, as it should be."""
    with private_server(tmp_path_factory.mktemp("healthy"), HEALTHY) as (cluster, url):
        # Not on its command line, which no ALTER SYSTEM could change.
        with (cluster.data / "postgresql.conf").open("a") as file:
            file.write("archive_command = 'true'\n")
        run(url, "SELECT pg_reload_conf()")
        run(url, f"CREATE ROLE {APPLICATION} LOGIN")
        run(url, "CREATE EXTENSION pg_stat_statements")
        yield url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    """Give an engine of a superuser."""
    engine = make_engine(Database(url=url))
    yield engine
    engine.dispose()


def found(
    engine: Engine, expected: Expected = KNOWN, now: datetime | None = None
) -> dict[str, str]:
    """Return the severity of each finding by its id."""
    engine.dispose()  # settings of the database count from the start of a session
    findings = doctor.examine(engine, expected, now or datetime.now(UTC))
    assert all(finding.what and finding.why and finding.remedy for finding in findings)
    return {finding.id: finding.severity for finding in findings if finding.id not in ALWAYS}


Cause = Callable[[str], AbstractContextManager[None]]


def statements(cause: str, cure: str, *, fails: bool = False) -> Cause:
    """Cause something by statements between ``;;``, and mend it by others."""

    @contextmanager
    def caused(url: str) -> Iterator[None]:
        try:
            for statement in cause.split(";;"):
                if fails and statement.startswith("CREATE UNIQUE"):
                    with pytest.raises(psycopg.Error):
                        run(url, statement)
                else:
                    run(url, statement)
            yield
        finally:
            for statement in cure.split(";;"):
                run(url, statement)

    return caused


def setting(name: str, value: str) -> Cause:
    """Change a setting of the whole server."""

    @contextmanager
    def caused(url: str) -> Iterator[None]:
        before = run(url, f"SHOW {name}")
        try:
            run(url, f"ALTER SYSTEM SET {name} = '{value}'")
            run(url, "SELECT pg_reload_conf()")
            assert wait_until(lambda: run(url, f"SHOW {name}") != before, 20)
            yield
        finally:
            run(url, f"ALTER SYSTEM RESET {name}")
            run(url, "SELECT pg_reload_conf()")
            assert wait_until(lambda: run(url, f"SHOW {name}") == before, 20)

    return caused


def sessions(count: int, *steps: str) -> Cause:
    """Keep sessions open that have done something."""

    @contextmanager
    def caused(url: str) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(count):
                connection = stack.enter_context(psycopg.connect(url, autocommit=True))
                for step in steps:
                    connection.execute(step.encode())
            yield

    return caused


@contextmanager
def waiting(url: str) -> Iterator[None]:
    """Have one session wait for another, without a thread."""
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as waiter:
        holder.execute("LOCK TABLE templates IN ROW EXCLUSIVE MODE")
        waiter.pgconn.send_query(b"BEGIN; LOCK TABLE templates IN SHARE MODE; ROLLBACK")
        asked = "SELECT 1 FROM pg_locks WHERE NOT granted"
        try:
            assert wait_until(lambda: bool(run(url, asked)), 20)
            yield
        finally:
            holder.rollback()
            while waiter.pgconn.get_result() is not None:
                pass


@contextmanager
def lost_slot(url: str) -> Iterator[None]:
    """Have the server throw away what a slot needs."""
    with setting("max_slot_wal_keep_size", "1MB")(url):
        run(url, "SELECT pg_create_physical_replication_slot('forgotten', true)")
        try:
            for _ in range(3):
                run(url, "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
            run(url, "CHECKPOINT")
            asked = "SELECT wal_status FROM pg_replication_slots"
            assert wait_until(lambda: run(url, asked) == [("lost",)], 20)
            yield
        finally:
            run(url, "SELECT pg_drop_replication_slot('forgotten')")


def login(line: str) -> Cause:
    """Put a line into pg_hba.conf."""

    @contextmanager
    def caused(url: str) -> Iterator[None]:
        file = Path(run(url, "SHOW hba_file")[0][0])
        before = file.read_text()
        try:
            file.write_text(f"{before}{line}\n")
            yield
        finally:
            file.write_text(before)

    return caused


@dataclass(frozen=True)
class Case:
    """A cause and what is found then."""

    id: str
    severity: str
    cause: Cause
    limits: Limits = NONE


_CHILD = (
    "CREATE TABLE parent (id int PRIMARY KEY);;"
    "CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE)"
)
_SLOT = (
    "SELECT pg_create_physical_replication_slot('slow', true);;"
    "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"
)
_DEAD = (
    "CREATE TABLE dead AS SELECT generate_series(1, 2000) AS n;;ANALYZE dead;;"
    "DELETE FROM dead;;SELECT pg_stat_force_next_flush()"
)
AT_HEAD = f"UPDATE alembic_version SET version_num = '{KNOWN.revision}'"  # noqa: S608 - our own
CASES = [
    Case(
        "revision",
        "error",
        statements(
            "UPDATE alembic_version SET version_num = '0001'",
            AT_HEAD,
        ),
    ),
    Case(
        "revision",
        "error",
        statements(
            "ALTER TABLE alembic_version RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO alembic_version",
        ),
    ),
    Case(
        "revision",
        "notice",
        statements(
            "UPDATE alembic_version SET version_num = 'newer'",
            AT_HEAD,
        ),
    ),
    Case("fsync", "error", setting("fsync", "off")),
    Case("full_page_writes", "error", setting("full_page_writes", "off")),
    Case("password_encryption", "warning", setting("password_encryption", "md5")),
    Case("weak_login", "error", login("host all all 192.0.2.0/24 trust")),
    Case("weak_login", "warning", login("host all all 192.0.2.0/24 md5")),
    Case("autovacuum", "error", setting("autovacuum", "off")),
    Case("autovacuum", "error", setting("track_counts", "off")),
    Case(
        "logged_values",
        "warning",
        statements(
            "ALTER DATABASE watched SET log_min_duration_statement = 0",
            "ALTER DATABASE watched RESET log_min_duration_statement",
        ),
    ),
    Case("logged_values", "warning", setting("log_statement", "all")),
    Case(
        "statements_not_counted",
        "notice",
        statements("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements"),
    ),
    Case(
        "invalid_index",
        "warning",
        statements(
            "CREATE TABLE twice AS SELECT 1 AS n FROM generate_series(1, 2);;"
            "CREATE UNIQUE INDEX CONCURRENTLY ON twice (n)",
            "DROP TABLE twice",
            fails=True,
        ),
    ),
    Case("foreign_key_without_index", "warning", statements(_CHILD, "DROP TABLE child, parent")),
    Case(
        "unused_index",
        "notice",
        statements(
            "CREATE TABLE idle AS SELECT generate_series(1, 900) AS n;;CREATE INDEX ON idle (n)",
            "DROP TABLE idle",
        ),
        Limits(unused_index_bytes=20_000),
    ),
    Case(
        "table_autovacuum",
        "warning",
        statements(
            "ALTER TABLE templates SET (autovacuum_enabled = false)",
            "ALTER TABLE templates RESET (autovacuum_enabled)",
        ),
    ),
    Case("dead_rows", "warning", statements(_DEAD, "DROP TABLE dead"), Limits(dead_rows=1000)),
    Case(
        "never_analyzed",
        "warning",
        statements(
            "CREATE TABLE unknown AS SELECT generate_series(1, 1001) AS n;;"
            "SELECT pg_stat_force_next_flush()",
            "DROP TABLE unknown",
        ),
    ),
    Case(
        "sequence",
        "warning",
        statements(
            'CREATE SEQUENCE "Short" MAXVALUE 100;;SELECT setval(\'"Short"\', 76)',
            'DROP SEQUENCE "Short"',
        ),
    ),
    Case("wraparound", "error", lambda _: nullcontext(), Limits(xid_age=1)),
    Case("cache", "notice", lambda _: nullcontext(), Limits(cache_ratio=1, cache_blocks=0)),
    Case("connections", "warning", sessions(18)),
    Case("connections", "error", sessions(22)),
    Case(
        "long_transaction",
        "warning",
        sessions(1, "BEGIN", "SELECT 1"),
        Limits(transaction_seconds=0),
    ),
    Case("blocked", "warning", waiting, Limits(blocked_seconds=0)),
    # Sizes are unknown, and no check waits for them for long.
    Case("not_checked", "notice", sessions(1, "BEGIN", "LOCK TABLE templates")),
    Case(
        "prepared_transaction",
        "warning",
        statements(
            "BEGIN; PREPARE TRANSACTION 'it''s forgotten'", "ROLLBACK PREPARED 'it''s forgotten'"
        ),
        Limits(prepared_seconds=0),
    ),
    Case(
        "role_superuser",
        "warning",
        statements(f"ALTER ROLE {APPLICATION} SUPERUSER", f"ALTER ROLE {APPLICATION} NOSUPERUSER"),
    ),
    Case(
        "role_creates",
        "warning",
        statements(
            f"GRANT CREATE ON SCHEMA public TO {APPLICATION}",
            f"REVOKE CREATE ON SCHEMA public FROM {APPLICATION}",
        ),
    ),
    Case(
        "role_creates",
        "warning",
        statements(
            f"ALTER TABLE template_partials OWNER TO {APPLICATION}",
            "ALTER TABLE template_partials OWNER TO CURRENT_USER",
        ),
    ),
    Case("archiving", "warning", setting("archive_command", "")),
    Case("slot_lost", "error", lost_slot),
    Case(
        "slot_wal",
        "warning",
        statements(_SLOT, "SELECT pg_drop_replication_slot('slow')"),
        Limits(slot_bytes=1000),
    ),
    Case("synchronous_standby", "error", setting("synchronous_standby_names", "nobody")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.severity}")
def test_each_problem_is_found_alone_and_gone_once_fixed(
    url: str, engine: Engine, case: Case
) -> None:
    """It and nothing else; when it is mended there is nothing any more."""
    expected = replace(KNOWN, limits=case.limits)
    with case.cause(url):
        assert found(engine, expected) == {case.id: case.severity}
    assert found(engine) == {}


@pytest.mark.parametrize(
    ("expected", "finding"),
    [
        (replace(KNOWN, pool=23), {"pool": "warning"}),
        (replace(KNOWN, programs=None), {"programs_missing": "warning"}),
        (replace(KNOWN, programs=(17, 99)), {"programs_too_old": "error"}),
        (replace(KNOWN, application_role="nobody"), {}),
    ],
)
def test_the_installed_programs_are_current(
    engine: Engine, expected: Expected, finding: dict[str, str]
) -> None:
    """Its programs and its settings have to fit the server."""
    assert found(engine, expected) == finding


def test_a_clock_difference_is_a_finding(engine: Engine) -> None:
    """In either direction."""
    for hours in (-1, 1):
        now = datetime.now(UTC) + timedelta(hours=hours)
        assert found(engine, now=now) == {"clock": "warning"}
    assert found(engine) == {}


def test_the_remedy_fixes_the_finding(url: str, engine: Engine) -> None:
    """What is printed can be pasted: an index that is missing, one that is left behind."""
    with statements(_CHILD, "DROP TABLE child, parent")(url):
        (finding,) = [
            one
            for one in doctor.examine(engine, KNOWN, datetime.now(UTC))
            if one.id == "foreign_key_without_index"
        ]
        run(url, finding.remedy.rstrip(";"))
        assert found(engine) == {}


def test_unsafe_settings_of_the_server_are_findings(tmp_path: Path) -> None:
    """Without checksums, and with a command that archives nothing."""
    programs = Programs.chosen()
    cluster = PrivateCluster(
        programs,
        tmp_path / "data",
        settings={"archive_mode": "on", "archive_command": "false", "archive_timeout": "1h"},
    )
    cluster.initialise()
    command = [programs.path("pg_checksums"), "--disable", "-N", "-D", str(cluster.data)]
    assert run_program(command, cluster.rights).returncode == 0
    with cluster:
        url = cluster.url()
        run(url, "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
        asked = "SELECT failed_count > 0 FROM pg_stat_archiver"
        assert wait_until(lambda: run(url, asked) == [(True,)], 20)
        engine = make_engine(Database(url=url))
        findings = found(engine)
        engine.dispose()
    assert findings == {
        "data_checksums": "warning",
        "archiving_fails": "error",
        "revision": "error",
        "statements_not_counted": "notice",
    }


def test_a_check_without_permission_is_a_notice(url: str) -> None:
    """The skipped check is reported, and the other checks continue."""
    engine = make_engine(Database(url=url.replace("scratch@", f"{APPLICATION}@")))
    try:
        with setting("fsync", "off")(url):
            findings = found(engine)
    finally:
        engine.dispose()
    assert findings["not_privileged"] == "notice"
    assert findings["not_checked"] == "notice"
    assert findings["fsync"] == "error"


def kept(folder: Path, *, old: bool) -> dict[str, str]:
    """Make a dump and a base backup in the catalogues; return the settings that name them."""
    now = datetime.now(UTC) - timedelta(days=9 if old else 0)
    (folder / "dumps").mkdir()
    (folder / "dumps" / "one.dump").write_bytes(b"dump")
    entry = Entry(
        name="one",
        contents="full",
        form="custom",
        started_at=now,
        finished_at=now,
        verified_at=now,
        database="watched",
        server_version="18.7",
        client_version="18.7",
        encrypted=False,
        files=(StoredFile(name="one.dump", part="dump", size=4, sha256="0" * 64),),
    )
    Catalogue(open_store(str(folder / "dumps"))).add(entry)
    (folder / "recovery" / "base" / "one").mkdir(parents=True)
    (folder / "recovery" / "wal").mkdir()
    base_backups.write(
        folder / "recovery" / "base" / "one",
        BaseBackup(
            name="one",
            parent=None,
            superuser="scratch",
            started_at=now,
            ended_at=now,
            server=180_007,
            system="1",
            timeline=1,
            start_lsn="0/1000028",
            stop_lsn="0/1000100",
            segment_bytes=16 * 1024 * 1024,
            bytes=1,
        ),
    )
    return {
        "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL": "",
        "TEMPLATE_SERVICE_BACKUP_TARGET": str(folder / "dumps"),
        "TEMPLATE_SERVICE_RECOVERY_DIRECTORY": str(folder / "recovery"),
        "TEMPLATE_SERVICE_DB_POOL_SIZE": "5",
    }


class TestCommand:
    """``template-service db doctor``."""

    def operator(self, url: str, environment: dict[str, str]) -> Operator:
        """Return an operator whose worker has a role of its own."""
        operator = Operator(url.replace("scratch@", f"{APPLICATION}@"), environment)
        operator.environment["TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"] = url
        return operator

    def test_a_healthy_database_has_no_findings(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Exit status 0, with a server and programs that lack no fixes."""
        monkeypatch.setattr(versions, "FIXED", {})
        operator = self.operator(url, kept(tmp_path, old=False))
        assert operator.output("doctor") == "No problems found.\n"
        assert operator.json("doctor") == {"findings": []}

    def test_a_version_with_known_vulnerabilities_is_a_finding(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the server, and of the programs that restore."""
        monkeypatch.setattr(versions, "FIXED", dict.fromkeys(range(15, 30), 99))
        output = self.operator(url, kept(tmp_path, old=False)).refused("doctor", "--json")
        ids = [finding["id"] for finding in json.loads(output)["findings"]]
        assert sorted(ids) == ["programs_version", "server_version"]
        assert "CVE-" in output

    def test_outdated_backups_are_findings(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Exit status 1; each finding with what it means and the command that mends it."""
        monkeypatch.setattr(versions, "FIXED", {})
        operator = self.operator(url, kept(tmp_path, old=True))
        findings: list[dict[str, Any]] = json.loads(operator.refused("doctor", "--json"))[
            "findings"
        ]
        assert {finding["id"]: finding["severity"] for finding in findings} == {
            "dump_old": "error",
            "dump_unverified": "error",
            "base_backup_old": "warning",
            "recovery_unproved": "warning",
        }
        output = operator.refused("doctor")
        for finding in findings:
            assert f"{finding['severity']}: {finding['what']}" in output
            assert finding["remedy"] in output
        operator.environment["TEMPLATE_SERVICE_BACKUP_ALARM_DAYS"] = "30"
        assert "dump_unverified" not in operator.refused("doctor")

    def test_a_notice_alone_exits_with_status_0(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is shown, and the exit status is 0."""
        monkeypatch.setattr(versions, "FIXED", {})
        operator = self.operator(url, kept(tmp_path, old=False))
        with statements("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements")(
            url
        ):
            assert "slow-queries --setup" in operator.output("doctor")
