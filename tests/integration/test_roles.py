"""``db roles``: made in one transaction, again and again, with nothing secret left about."""

import json
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.cluster.processes import wait_until
from db.roles.names import Names
from tests.support.roles import applied, command
from tests.support.stacks import small_stack
from worker.local import LocalStack

APP, MAINTENANCE, READONLY = (Names().of(kind) for kind in ("app", "maintenance", "readonly"))
STATE = """
SELECT rolname, rolcanlogin, rolsuper, rolreplication, rolpassword FROM pg_authid
UNION ALL SELECT member::regrole::text, inherit_option, set_option, admin_option, roleid::text
FROM pg_auth_members
UNION ALL SELECT relname, null, null, null, relowner::regrole || relacl::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT datname, null, null, null, datacl::text FROM pg_database
UNION ALL SELECT nspname, null, null, null, nspacl::text FROM pg_namespace
UNION ALL SELECT setrole::regrole::text, null, null, null, setconfig::text FROM pg_db_role_setting
UNION ALL SELECT defaclrole::regrole::text, null, null, null, defaclacl::text FROM pg_default_acl
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL of its own, since roles belong to the whole server."""
    with small_stack(tmp_path_factory.mktemp("roles"), workers=0) as stack:
        yield stack


@pytest.fixture
def url(stack: LocalStack) -> Iterator[str]:
    """Give the database without any of the roles."""
    yield stack.postgres.url
    done = command(stack.postgres.url, "drop", "--yes")
    assert done.exit_code == 0, done.output


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement; return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def state(url: str) -> list[str]:
    """Return all that roles have, as text."""
    return sorted(map(str, run(url, STATE)))


class TestApply:
    """``db roles apply``."""

    def test_each_role_logs_in_and_has_its_privileges(self, url: str, tmp_path: Path) -> None:
        """The passwords in the files are those of the server."""
        addresses = applied(url, tmp_path / "secrets")
        for name, role in (
            ("DATABASE_URL", APP),
            ("TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL", MAINTENANCE),
        ):
            assert run(addresses[name], "SELECT current_user") == [(role,)]
        reader = as_user(url, READONLY, (tmp_path / "secrets" / READONLY).read_text().strip())
        assert run(reader, "SELECT count(*) FROM templates")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            run(reader, "DELETE FROM templates")
        writable = psycopg.conninfo.make_conninfo(
            reader, options="-c default_transaction_read_only=off"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(writable, "DELETE FROM templates")

    def test_passwords_are_in_files_of_their_own_user_alone(self, url: str, tmp_path: Path) -> None:
        """Neither the output nor a statement holds one, and no other user may read one."""
        done = command(url, "apply", "--json", "--output", str(tmp_path / "a" / "b"))
        files = sorted((tmp_path / "a" / "b").iterdir())
        assert [file.name for file in files] == [
            "env", "pg_service.conf", APP, MAINTENANCE, READONLY,
        ]  # fmt: skip
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert (
                file.name in {"env", "pg_service.conf"}
                or file.read_text().strip() not in done.output
            )
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
        assert {role["password"] for role in json.loads(done.output)["roles"]} == {"generated"}

    def test_a_second_run_changes_nothing(self, url: str, tmp_path: Path) -> None:
        """Rights, memberships, settings and passwords are those of the first."""
        applied(url, tmp_path)
        before = state(url)
        again = command(url, "apply")
        assert again.exit_code == 0, again.output
        assert state(url) == before
        assert again.output.count("kept") == 3

    def test_concurrent_runs_create_the_roles_once(self, url: str, tmp_path: Path) -> None:
        """One waits for the other, and keeps its passwords."""
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(partial(applied, url), tmp_path / "secrets") for _ in range(2)]
            addresses = [run.result() for run in runs]
        assert addresses[0] == addresses[1]
        assert run(addresses[0]["DATABASE_URL"], "SELECT 1") == [(1,)]

    def test_rotate_generates_new_passwords(self, url: str, tmp_path: Path) -> None:
        """The old one no longer lets anybody in, the new one is in the same file."""
        old = applied(url, tmp_path)["DATABASE_URL"]
        new = applied(url, tmp_path, "--rotate")["DATABASE_URL"]
        assert run(new, "SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            run(old, "SELECT 1")
        assert not list(tmp_path.glob("*.new"))

    def test_a_password_given_by_file_is_set(self, url: str, tmp_path: Path) -> None:
        """It may hold anything that a URL has to escape, and a line break at its end."""
        (tmp_path / "given").write_text("p'ä:ss/w@rd %20\n")
        done = command(
            url,
            "apply",
            "--password-file",
            f"app={tmp_path / 'given'}",
            "--output",
            str(tmp_path / "out"),
        )
        assert done.exit_code == 0, done.output
        assert run(as_user(url, APP, "p'ä:ss/w@rd %20"), "SELECT 1") == [(1,)]
        assert not (tmp_path / "out" / APP).exists()

    def test_existing_password_files_are_used_for_a_new_server(
        self, url: str, tmp_path: Path
    ) -> None:
        """So workers know the passwords after a server was restored without them."""
        addresses = applied(url, tmp_path)
        assert command(url, "drop", "--yes").exit_code == 0
        assert applied(url, tmp_path) == addresses
        assert run(addresses["DATABASE_URL"], "SELECT 1") == [(1,)]

    def test_tables_of_later_migrations_get_the_privileges(self, url: str, tmp_path: Path) -> None:
        """Maintenance may vacuum them at once, and owns them after the next run."""
        addresses = applied(url, tmp_path)
        run(url, "CREATE TABLE later (id int)")
        try:
            run(addresses["DATABASE_URL"], "INSERT INTO later VALUES (1)")
            run(addresses["TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"], "VACUUM later")
            assert "may not look after the table later" in command(url, "status").output
            command(url, "apply")
            assert command(url, "status").exit_code == 0
        finally:
            run(url, "DROP TABLE later")

    def test_no_password_is_in_the_server_log_or_statistics(
        self, url: str, stack: LocalStack, tmp_path: Path
    ) -> None:
        """Even where every statement is logged, neither passwords nor verifiers are."""
        run(url, "CREATE EXTENSION pg_stat_statements")
        run(url, "SELECT pg_stat_statements_reset()")
        before = len((stack.logs / "postgres.log").read_text())
        run(url, "ALTER SYSTEM SET log_statement = 'all'")
        run(url, "SELECT pg_reload_conf()")
        try:
            assert wait_until(lambda: run(url, "SHOW log_statement") == [("all",)], 10)
            applied(url, tmp_path)
            applied(url, tmp_path, "--rotate")
            log = (stack.logs / "postgres.log").read_text()[before:]
            kept = str(run(url, "SELECT query FROM pg_stat_statements"))
        finally:
            run(url, "ALTER SYSTEM RESET log_statement")
            run(url, "SELECT pg_reload_conf()")
            run(url, "DROP EXTENSION pg_stat_statements")
        assert "template-service: roles" in log  # so it was logged what these runs did
        secrets = [(tmp_path / role).read_text().strip() for role in (APP, MAINTENANCE, READONLY)]
        for secret in (*secrets, "SCRAM-SHA-256$"):
            assert secret not in log
            assert secret not in kept

    def test_a_dry_run_prints_the_sql_and_changes_nothing(self, url: str, tmp_path: Path) -> None:
        """Its SQL, with passwords put in, can be run by a superuser."""
        before = state(url)
        planned = command(url, "apply", "--dry-run").output
        assert state(url) == before
        assert planned.count("PASSWORD 'SCRAM-SHA-256$...'") == 3
        run(url, planned)
        assert command(url, "apply", "--output", str(tmp_path)).exit_code == 0
        assert command(url, "status").exit_code == 0

    def test_other_databases_are_reported_and_closed_on_request(
        self, url: str, tmp_path: Path
    ) -> None:
        """Everyone may connect to them until then; maintenance may afterwards."""
        done = command(url, "apply", "--output", str(tmp_path / "1"))
        assert "still connect to: postgres, template1" in done.output
        addresses = applied(url, tmp_path / "1", "--close-others")
        elsewhere = {
            name: f"{address.rpartition('/')[0]}/postgres" for name, address in addresses.items()
        }
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                run(elsewhere["DATABASE_URL"], "SELECT 1")
            assert run(elsewhere["TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"], "SELECT 1")
        finally:
            for database in ("postgres", "template1"):
                run(url, f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC")


class TestRefusals:
    """A clear sentence, exit status 1, and nothing changed."""

    @pytest.fixture(autouse=True)
    def _unchanged(self, url: str) -> Iterator[None]:
        before = state(url)
        yield
        assert state(url) == before

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, "cannot be read: No such file"),
            (b"", "not one line of printable"),
            (b"two\nlines\n", "not one line of printable"),
            (b"nul\0", "not one line of printable"),
            (b"\xff\xfe", "it is not UTF-8"),
        ],
        ids=["missing", "empty", "lines", "nul", "bytes"],
    )
    def test_an_unusable_password_file_is_refused(
        self, url: str, tmp_path: Path, content: bytes | None, words: str
    ) -> None:
        """It is named, and what is in it is not."""
        file = tmp_path / "password"
        if content is not None:
            file.write_bytes(content)
        done = command(url, "apply", "--output", str(tmp_path), "--password-file", f"app={file}")
        assert done.exit_code == 1
        assert words in done.output

    def test_a_missing_directory_for_passwords_is_reported(self, url: str) -> None:
        """They are never printed instead."""
        done = command(url, "apply")
        assert done.exit_code == 1
        assert "name a directory for password files with --output" in done.output

    def test_a_path_that_is_not_a_directory_is_reported(self, url: str, tmp_path: Path) -> None:
        """A file in its place is named."""
        (tmp_path / "file").touch()
        done = command(url, "apply", "--output", str(tmp_path / "file" / "secrets"))
        assert done.exit_code == 1
        assert "cannot be written: Not a directory" in done.output

    def test_a_locked_table_is_an_error_and_leaves_no_files(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not queue before other sessions, and leaves no password file behind."""
        monkeypatch.setattr("db.roles.apply.LOCK_TIMEOUT", "50ms")
        with psycopg.connect(url) as reader:
            reader.execute("SELECT count(*) FROM templates")
            done = command(url, "apply", "--output", str(tmp_path / "secrets"))
        assert done.exit_code == 1
        assert "canceling statement due to lock timeout" in done.output
        assert not list((tmp_path / "secrets").iterdir())

    @pytest.mark.parametrize("prefix", ["pg_me", "A", "a-b", "1a", "", "a" * 51, 'a"b'])
    def test_an_invalid_prefix_is_refused(self, url: str, prefix: str) -> None:
        """It would have to be quoted everywhere, or be cut."""
        done = command(url, "apply", "--prefix", prefix)
        assert done.exit_code == 1
        assert "invalid prefix of role names" in done.output

    @pytest.mark.parametrize("value", ["app", "app=", "owner=x", "=x"])
    def test_a_password_for_an_unknown_role_is_a_usage_error(self, url: str, value: str) -> None:
        """Click says what was expected, with its own exit status."""
        done = command(url, "apply", "--password-file", value)
        assert done.exit_code == 2
        assert "expected ROLE=FILE" in done.output


def test_an_unrelated_role_of_the_same_name_is_left_alone(url: str, tmp_path: Path) -> None:
    """Another role of that name might be anybody's, even an administrator's."""
    run(url, f"CREATE ROLE {APP} SUPERUSER")
    try:
        done = command(url, "apply", "--output", str(tmp_path))
        assert done.exit_code == 1
        assert "choose other names with --prefix" in done.output
        assert (APP, True) in run(url, "SELECT rolname, rolsuper FROM pg_roles")
    finally:
        run(url, f"DROP ROLE {APP}")


def test_only_a_superuser_may_apply_roles(url: str, tmp_path: Path) -> None:
    """The maintenance role can neither widen its rights nor those of others."""
    addresses = applied(url, tmp_path)
    done = command(addresses["TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"], "apply")
    assert done.exit_code == 1
    assert f"{MAINTENANCE} is not a superuser" in done.output


def test_a_database_without_tables_is_refused(url: str, stack: LocalStack, tmp_path: Path) -> None:
    """Migrations come first."""
    run(url, "CREATE DATABASE bare")
    try:
        done = command(stack.postgres.url_of("bare"), "apply", "--output", str(tmp_path))
        assert done.exit_code == 1
        assert "run 'alembic upgrade head'" in done.output
    finally:
        run(url, "DROP DATABASE bare")


DAMAGES = {
    "ALTER ROLE {app} SUPERUSER": "rights that no role of the service needs",
    "ALTER ROLE {maintenance} CREATEROLE": "rights that no role of the service needs",
    "ALTER ROLE {readonly} REPLICATION": "may take base backups",
    "GRANT pg_write_all_data TO {app}": "is a member of pg_write_all_data",
    "GRANT {owner} TO {readonly}": "is a member of template_service_owner",
    "GRANT pg_write_all_data TO {owner}": "owner is a member of pg_write_all_data",
    "GRANT pg_execute_server_program TO {maintenance}": "is a member of pg_execute_server_program",
    "REVOKE pg_monitor FROM {maintenance}": "is not a member of pg_monitor",
    "REVOKE SELECT ON templates FROM {readonly}": "has no SELECT on the table templates",
    "REVOKE UPDATE ON templates FROM {app}": "has no UPDATE on the table templates",
    "GRANT UPDATE ON alembic_version TO {app}": "may write to the table alembic_version",
    "GRANT INSERT ON templates TO {readonly}": "may write to the table templates",
    "GRANT TRUNCATE ON templates TO {app}": "may do more with the table templates than with rows",
    "ALTER TABLE templates OWNER TO template_service": "may not look after the table templates",
    "REVOKE CONNECT ON DATABASE template_service FROM {app}": "may not connect to this database",
    "GRANT TEMPORARY ON DATABASE template_service TO {app}": "may make temporary tables",
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "may make tables in the schema public",
    "GRANT CONNECT ON DATABASE template_service TO PUBLIC": "every role has CONNECT",
}


class TestStatus:
    """``db roles status`` finds what is wrong, and ``apply`` mends it."""

    @pytest.mark.parametrize(("damage", "words"), DAMAGES.items(), ids=DAMAGES.values())
    def test_manual_changes_are_reported(
        self, url: str, tmp_path: Path, damage: str, words: str
    ) -> None:
        """Each change is reported in a sentence."""
        applied(url, tmp_path)
        run(url, damage.format(**{kind: name for name, kind in Names().all().items()}))
        status = command(url, "status", "--json")
        assert status.exit_code == 1
        assert any(words in sentence for sentence in json.loads(status.output)["findings"])
        assert command(url, "apply").exit_code == 0
        assert command(url, "status").exit_code == 0

    def test_problems_that_apply_cannot_fix_say_so(self, url: str, tmp_path: Path) -> None:
        """Another schema is its owner's, and a table of the worker's was somebody's wish."""
        applied(url, tmp_path)
        run(url, f"CREATE SCHEMA hidden; GRANT USAGE ON SCHEMA hidden TO {APP}")
        run(url, f"CREATE TABLE hidden.own (); ALTER TABLE hidden.own OWNER TO {APP}")
        try:
            status = command(url, "status")
            assert status.exit_code == 1
            assert "may look into the schema hidden" in status.output
            assert "owns something in this database" in status.output
        finally:
            run(url, "DROP SCHEMA hidden CASCADE")

    def test_settings_that_a_server_lacks_are_skipped(self, url: str) -> None:
        """Each is named."""
        status = command(url, "status")
        assert status.exit_code == 1
        assert re.findall(r"role (\w+) is missing", status.output) == list(Names().all())


def test_drop_removes_all_roles_and_keeps_the_tables(url: str, tmp_path: Path) -> None:
    """The tables stay, as those of who is connected."""
    applied(url, tmp_path)
    done = command(url, "drop", "--yes", "--json")
    assert set(json.loads(done.output)["dropped"]) == set(Names().all())
    assert not run(url, "SELECT FROM pg_roles WHERE rolname LIKE 'template\\_service\\_%'")
    owners = run(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("template_service",)]


def test_drop_asks_for_confirmation(url: str, tmp_path: Path) -> None:
    """Without an answer nothing happens."""
    applied(url, tmp_path)
    assert command(url, "drop").exit_code == 1
    assert command(url, "status").exit_code == 0


def as_user(url: str, user: str, password: str) -> str:
    """Return the connection string of another role."""
    return psycopg.conninfo.make_conninfo(url, user=user, password=password)
