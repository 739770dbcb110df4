"""``template-service backup`` and ``maintenance.backup`` on a real server."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyrage  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from db.backup.catalogue import Entry
from db.backup.prune import prune
from db.backup.verify import fetch_roles, verify
from tests.factories import templates
from tests.support.dumps import Backups, backups, facts, new_database, wrapped
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

NOW = datetime.now(UTC)
KINDS: list[dict[str, Any]] = [
    {},
    {"contents": "schema"},
    {"contents": "data"},
    {"contents": "table", "table": "templates"},
]


@pytest.fixture(scope="module")
def kept(servers: LocalStack, tasks: Tasks, tmp_path_factory: pytest.TempPathFactory) -> Backups:
    """Give a database with something in it, and no backup yet."""
    templates.published(tasks, translations={"de": {"body": "<p>Grüße, {{ name }}</p>"}})
    return backups(servers, tmp_path_factory.mktemp("kept") / "backups")


@pytest.fixture
def fresh(kept: Backups, tmp_path: Path) -> Backups:
    """Give the same database, and a folder of the test's own."""
    return kept.using(target=str(tmp_path / "backups"))


@pytest.fixture(scope="module")
def encrypted(kept: Backups, tmp_path_factory: pytest.TempPathFactory) -> Backups:
    """Give the same, encrypted to somebody whose key is at hand."""
    folder = tmp_path_factory.mktemp("keys")
    identity = pyrage.x25519.Identity.generate()
    (folder / "recipients").write_text(f"# the operator\n\n{identity.to_public()}\n")
    (folder / "identity").write_text(f"{identity}\n")
    return kept.using(
        recipients_file=str(folder / "recipients"), identity_file=str(folder / "identity")
    )


def restored(kept: Backups, entry: Entry, url: str) -> None:
    """Put a backup into a database, with PostgreSQL's programs alone."""
    client = replace(kept.client, url=url)
    if entry.form == "custom":
        command = ["pg_restore", "--exit-on-error", "--dbname", url.rpartition("/")[2]]
    else:
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    with client.start(command[0], command[1:], stdin=subprocess.PIPE) as child:
        _, errors = child.communicate(kept.plain(entry))
    assert child.returncode == 0, errors


class TestRoundTrip:
    """What goes in comes out."""

    @pytest.mark.parametrize("form", ["custom", "plain"])
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.get("contents", "full"))
    def test_every_kind_of_dump_can_be_restored(
        self, servers: LocalStack, kept: Backups, kind: dict[str, Any], form: str
    ) -> None:
        """The restored tables are those that the entry speaks of, to the last byte of each row."""
        entry = kept.make(form=form, **kind)
        assert kept.catalogue.get(entry.name) == entry
        self.same(servers, kept, entry)
        rows = sum(table.rows for table in entry.tables.values())
        assert (rows == 0) == (entry.contents == "schema")

    @pytest.mark.parametrize("form", ["custom", "plain"])
    def test_an_encrypted_backup_can_be_restored(
        self, servers: LocalStack, encrypted: Backups, form: str
    ) -> None:
        """The same, with the key at hand."""
        entry = encrypted.make(form=form)
        assert entry.encrypted
        self.same(servers, encrypted, entry)

    def same(self, servers: LocalStack, backups: Backups, entry: Entry) -> None:
        """Restore a backup into an empty database and compare."""
        assert verify(
            backups.catalogue.store, entry, backups.policy, backups.client.programs
        ).opened
        with new_database(servers, "round_trip") as url:
            if entry.contents == "data":
                restored(backups, backups.make(contents="schema"), url)
            restored(backups, entry, url)
            assert facts(url) == entry.tables

    def test_the_entry_says_what_the_backup_is(self, kept: Backups) -> None:
        """All that an operator asks before a restore."""
        entry = kept.make()
        version = ".".join(map(str, kept.client.programs.version()))
        with psycopg.connect(kept.client.url) as connection:
            ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
        assert entry.model_dump(include={"contents", "table", "form", "database", "encrypted"}) == {
            "contents": "full",
            "table": None,
            "form": "custom",
            "database": "template_service",
            "encrypted": False,
        }
        assert (entry.server_version, entry.client_version) == (version, version)
        assert entry.revision == revision
        assert entry.started_at <= entry.finished_at
        assert (entry.verified_at, entry.problem) == (None, None)
        assert entry.name == f"template_service_{entry.started_at:%Y%m%d_%H%M%S}" or (
            entry.name.startswith(f"template_service_{entry.started_at:%Y%m%d_%H%M%S}_")
        )

    def test_a_full_backup_includes_the_roles(self, kept: Backups) -> None:
        """Of a superuser with their passwords, as the server has hashed them."""
        entry = kept.make(form="plain")
        assert entry.roles is not None
        (role,) = (role for role in fetch_roles(entry, kept.policy).roles if role.login)
        assert role.name == "template_service"
        assert role.password is not None
        assert role.password.startswith("SCRAM-SHA-256$")
        assert kept.make(contents="schema").roles is None

    def test_a_non_superuser_dumps_roles_without_passwords(
        self, servers: LocalStack, fresh: Backups
    ) -> None:
        """It may not read them; all else is there."""
        with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS dumper")
            connection.execute(
                "CREATE ROLE dumper LOGIN PASSWORD 'd:u\\m p' IN ROLE pg_read_all_data"
            )
            try:
                url = f"postgresql://dumper:d%3Au%5Cm%20p@{servers.postgres.url.rpartition('@')[2]}"
                limited = replace(fresh, client=replace(fresh.client, url=url))
                entry = limited.make()
            finally:
                connection.execute("DROP ROLE dumper")
        assert entry.roles is not None
        roles = {role.name: role for role in fetch_roles(entry, fresh.policy).roles}
        assert roles.keys() == {"template_service", "dumper"}
        assert {role.password for role in roles.values()} == {None}
        assert entry.tables.keys() == facts(servers.postgres.url).keys()

    def test_a_plain_backup_is_a_gzipped_sql_script(self, kept: Backups) -> None:
        """``gunzip -c NAME.sql.gz`` is enough to read it."""
        entry = kept.make(form="plain")
        assert entry.dump.name == f"{entry.name}.sql.gz"
        plain = gzip.decompress((kept.folder / entry.dump.name).read_bytes())
        assert plain.startswith(b"--\n-- PostgreSQL database dump")

    def test_nothing_of_an_encrypted_backup_can_be_read(self, encrypted: Backups) -> None:
        """Not the roles either."""
        entry = encrypted.make(form="plain")
        for file in entry.files:
            stored = (encrypted.folder / file.name).read_bytes()
            assert file.name.endswith((".sql.gz.age", ".roles.json.gz.age"))
            assert stored.startswith(b"age-encryption.org/v1")
        assert b"CREATE TABLE public.templates" in encrypted.plain(entry)

    def test_ssh_keys_encrypt_and_decrypt_a_backup(self, kept: Backups, tmp_path: Path) -> None:
        """Operators have those already."""
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        (tmp_path / "recipients").write_bytes(public + b" operator@host\n")
        (tmp_path / "identity").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        )
        encrypted = kept.using(
            recipients_file=str(tmp_path / "recipients"), identity_file=str(tmp_path / "identity")
        )
        assert encrypted.plain(encrypted.make(contents="schema")).startswith(b"PGDMP")

    def test_an_encrypted_backup_is_created_and_verified_without_the_private_key(
        self, encrypted: Backups
    ) -> None:
        """The machine that makes it need not read it: size and checksum are known all the same."""
        maker = encrypted.using(identity_file="")
        entry = maker.make()
        done = verify(maker.catalogue.store, entry, maker.policy, maker.client.programs)
        assert (done.files, done.size, done.opened) == (2, entry.size, False)


def test_digests_and_dump_use_the_same_snapshot(
    servers: LocalStack, fresh: Backups, tmp_path: Path
) -> None:
    """A row that comes after the snapshot, and before pg_dump reads, is in neither."""
    late = tmp_path / "late.sql"
    late.write_text("INSERT INTO templates (template_id, name, type) VALUES ('late', 'L', 'sms')")
    psql = fresh.client.programs.path("psql")
    script = f'"{psql}" -X -q -f "{late}"\nexec "$REAL" "$@"'
    programs = wrapped(tmp_path / "bin", pg_dump=script)
    entry = replace(fresh, client=replace(fresh.client, programs=programs)).make(form="plain")
    try:
        assert Rows(servers.postgres.url).counts("late")[0] == 1
        assert b"\tlate\t" not in fresh.plain(entry)
        with new_database(servers, "one_moment") as url:
            restored(fresh, entry, url)
            assert facts(url) == entry.tables
    finally:
        Rows(servers.postgres.url).run("DELETE FROM templates WHERE template_id = 'late'")


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("UPDATE t SET b = 'x' WHERE a = 2", True),
        ("DELETE FROM t WHERE a = 2", True),
        ("INSERT INTO t VALUES (2, 'two')", True),
        ("DELETE FROM t; INSERT INTO t VALUES (2, 'two'), (NULL, NULL), (1, 'one')", False),
        ("UPDATE t SET a = 3 - a WHERE a IS NOT NULL", True),
        ("UPDATE t SET b = '' WHERE b IS NULL", True),
    ],
    ids=["a cell", "a row less", "a row twice", "another order", "swapped", "null and empty"],
)
def test_digests_of_different_contents_differ(
    servers: LocalStack, change: str, *, differs: bool
) -> None:
    """And nothing but contents: neither order nor how a session shows values."""
    with new_database(servers, "digests") as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t (a integer, b text)")
            connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (NULL, NULL)")
        before = facts(url)
        with psycopg.connect(url) as connection:
            connection.execute(change.encode())
        assert (facts(url)["t"] != before["t"]) is differs


def test_a_digest_does_not_depend_on_settings(servers: LocalStack) -> None:
    """A restore may land in a database whose settings are others."""
    with new_database(servers, "forms") as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "CREATE TABLE t AS SELECT now() AS a, 0.1::float8 + 0.2 AS b,"
                " '\\x00ff'::bytea AS c, interval '1 day 2 hours' AS d"
            )
        before = facts(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in (
                "timezone = 'Asia/Tokyo'",
                "datestyle = 'SQL, DMY'",
                "extra_float_digits = -3",
                "bytea_output = 'escape'",
                "intervalstyle = 'iso_8601'",
            ):
                connection.execute(f"ALTER DATABASE forms SET {setting}".encode())
        assert facts(url) == before


class TestTask:
    """``maintenance.backup``."""

    def test_the_task_creates_a_backup_and_prunes_expired_ones(
        self, tasks: Tasks, fresh: Backups
    ) -> None:
        """In numbers; one hour on either side of the boundary."""
        week = timedelta(days=fresh.policy.keep_days)
        old = fresh.make(now=NOW - week - timedelta(hours=1))
        young = fresh.make(now=NOW - week + timedelta(hours=1))
        with fresh.as_settings():
            answer = tasks.call("maintenance.backup")
        new = fresh.catalogue.newest()
        assert answer == {
            "dry_run": False,
            "skipped": False,
            "backup": new.name,
            "target": fresh.policy.target,
            "size": new.size,
            "tables": len(new.tables),
            "rows": sum(table.rows for table in new.tables.values()),
            "seconds": answer["seconds"],
            "expired": [old.name],
            "kept": 2,
        }
        assert [entry.name for entry in fresh.catalogue.entries()] == [new.name, young.name]
        assert fresh.catalogue.problems() == []

    def test_a_dry_run_changes_nothing(self, tasks: Tasks, fresh: Backups) -> None:
        """It says what would expire."""
        old = fresh.make(now=NOW - timedelta(days=9))
        fresh.make()
        before = fresh.files()
        with fresh.as_settings():
            answer = tasks.call("maintenance.backup", {"dry_run": True})
        assert (answer["backup"], answer["expired"], answer["kept"]) == (None, [old.name], 1)
        assert fresh.files() == before

    def test_a_second_backup_at_the_same_time_is_skipped(
        self, servers: LocalStack, tasks: Tasks, fresh: Backups
    ) -> None:
        """Two beats may be up; the command says it as an error."""
        lock = "SELECT pg_advisory_xact_lock(hashtextextended('maintenance.backup', 0))"
        with Rows(servers.postgres.url).held(lock), fresh.as_settings():
            assert tasks.call("maintenance.backup")["skipped"] is True
            done = fresh.command("create")
        assert (done.exit_code, "another backup" in done.output) == (
            1,
            True,
        )
        assert fresh.files() == {}

    def test_an_unreachable_server_is_a_transient_error(self, tasks: Tasks, fresh: Backups) -> None:
        """The message is retried, and finally refused with ``unavailable``."""
        url = "postgresql://template_service:x@127.0.0.1:1/template_service"
        away = replace(fresh, client=replace(fresh.client, url=url))
        with away.as_settings(), pytest.raises(RefusedError) as caught:
            tasks.call("maintenance.backup")
        assert caught.value.code == "unavailable"


class TestPrune:
    """What retention does to files."""

    def test_prune_keeps_verified_backups_and_removes_leftovers(self, fresh: Backups) -> None:
        """The newest three that a restore has proved, however old."""
        entries = [fresh.make(now=NOW - timedelta(days=days)) for days in (60, 50, 40, 30, 20, 0)]
        for entry in entries[:4]:
            fresh.catalogue.add(entry.model_copy(update={"verified_at": NOW}))
        done = prune(fresh.policy, fresh.client.programs, source=fresh.source, now=NOW)
        assert done.deleted == [entries[4].name, entries[0].name]
        assert done.size == entries[4].size + entries[0].size
        assert [entry.name for entry in fresh.catalogue.entries()] == [
            entry.name for entry in reversed(entries) if entry.name not in done.deleted
        ]
        assert done.kept.keys() == {entry.name for entry in fresh.catalogue.entries()}
        assert fresh.catalogue.problems() == []

    def test_prune_does_not_count_a_verified_backup_without_its_file(self, fresh: Backups) -> None:
        """Three that can be restored stay, not three names."""
        entries = [fresh.make(now=NOW - timedelta(days=days)) for days in (60, 50, 40, 30, 0)]
        for entry in entries[:4]:
            fresh.catalogue.add(entry.model_copy(update={"verified_at": NOW}))
        (fresh.folder / entries[3].dump.name).unlink()
        done = prune(fresh.policy, fresh.client.programs, source=fresh.source, now=NOW)
        assert done.deleted == [entries[3].name]


class TestCommands:
    """``template-service backup``."""

    def test_backups_are_created_listed_verified_printed_and_pruned(self, fresh: Backups) -> None:
        """The way of an operator."""
        assert "no backup in" in fresh.command("list").output
        assert fresh.command("create").exit_code == 0
        assert fresh.command("create", "--plain", "--schema-only", "--quiet").output == ""
        made = json.loads(fresh.command("create", "--table", "templates", "--json").output)
        assert (made["contents"], made["table"]) == ("table", "templates")
        listed = fresh.command("list")
        assert listed.exit_code == 0
        names = [entry.name for entry in fresh.catalogue.entries()]
        assert all(name in listed.output for name in names)
        assert len(json.loads(fresh.command("list", "--json").output)["backups"]) == 3
        assert fresh.command("verify", "--all").output.count("intact") == 3
        assert "intact" in fresh.command("verify", names[-1]).output
        schema = fresh.catalogue.newest("schema")
        assert b"CREATE TABLE public.templates" in fresh.command("cat", schema.name).stdout_bytes
        full = fresh.catalogue.newest()
        assert (
            b'"name": "template_service"' in fresh.command("cat", full.name, "--roles").stdout_bytes
        )
        assert fresh.command("cat", schema.name, "--roles").exit_code == 1
        assert fresh.command("prune", "--dry-run").output.count("kept") == 3

    def test_backup_cat_pipes_into_pg_restore(self, servers: LocalStack, fresh: Backups) -> None:
        """What it prints can be listed by pg_restore."""
        entry = fresh.make()
        environment = servers.environment() | {
            "TEMPLATE_SERVICE_BACKUP_TARGET": fresh.policy.target
        }
        cat = subprocess.Popen(
            [sys.executable, "-m", "worker", "backup", "cat", entry.name],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with cat:
            assert cat.stdout is not None
            listed = subprocess.run(
                [fresh.client.programs.path("pg_restore"), "--list"],
                stdin=cat.stdout,
                capture_output=True,
                check=True,
            )
            cat.stdout.close()
            assert cat.stderr is not None
            assert b"Traceback" not in cat.stderr.read()
        assert b"TABLE DATA public templates" in listed.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ("create", "--schema-only", "--data-only"),
            ("create", "--table", "templates", "--schema-only"),
            ("verify", "x", "--all"),
        ],
    )
    def test_mutually_exclusive_options_are_a_usage_error(
        self, fresh: Backups, arguments: tuple[str, ...]
    ) -> None:
        """Nothing is done."""
        assert fresh.command(*arguments).exit_code == 2
        assert fresh.files() == {}

    def test_no_password_is_on_a_command_line(
        self, servers: LocalStack, fresh: Backups, tmp_path: Path
    ) -> None:
        """Everyone on the machine can read those."""
        seen = tmp_path / "seen"
        script = f'echo "$@" >> "{seen}"\nexec "$REAL" "$@"'
        programs = wrapped(tmp_path / "bin", pg_dump=script)
        replace(fresh, client=replace(fresh.client, programs=programs)).make()
        command_lines = seen.read_text()
        assert "--snapshot=" in command_lines
        assert servers.postgres.password not in command_lines
