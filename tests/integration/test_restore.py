"""``backup restore``: beside the live database, over it, one table, and nothing half-done."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

from db.backup.catalogue import Catalogue, Contents, Entry, Form, open_store
from db.backup.create import create
from db.backup.databases import NAME_BYTES, administering, unused_name
from db.backup.policy import BackupPolicy
from db.backup.restore.compare import structure
from db.cluster.programs import wheel
from tests.support.archives import resealed
from tests.support.sample_databases import ROWS, SampleDatabase, copy_of, sample_database
from worker.cli.backup import backup
from worker.local import LocalStack

Made = dict[tuple[Contents, Form], Entry]
FORMS: Final[tuple[Form, ...]] = ("custom", "plain")


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give the database that the backups of this module are made of; nobody changes it."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BackupPolicy:
    """Return where the backups of this module are."""
    return BackupPolicy(target=str(tmp_path_factory.mktemp("backups")))


@pytest.fixture(scope="module")
def backups(source: SampleDatabase, policy: BackupPolicy) -> Made:
    """Make one backup of each kind and form."""
    kinds: list[tuple[Contents, Form]] = [
        (contents, form) for contents in ("full", "schema", "data", "table") for form in FORMS
    ]
    return {
        (contents, form): create(
            source.client,
            policy,
            contents=contents,
            table="template_versions" if contents == "table" else None,
            form=form,
        )
        for contents, form in kinds
    }


@pytest.fixture
def live(source: SampleDatabase) -> Iterator[SampleDatabase]:
    """Give a database that a test may change."""
    with copy_of(source) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test."""
    return BackupPolicy(target=str(tmp_path / "backups"))


def command(
    database: SampleDatabase, policy: BackupPolicy, *arguments: str, **settings: str
) -> Result:
    """Run ``template-service backup``, as an operator of a database does."""
    environment = {
        "DATABASE_URL": database.url,
        "TEMPLATE_SERVICE_BACKUP_TARGET": policy.target,
        "TEMPLATE_SERVICE_BACKUP_RECIPIENTS_FILE": policy.recipients_file,
        "TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE": policy.identity_file,
    }
    return CliRunner().invoke(backup, arguments, env=environment | settings)


def answer(result: Result) -> dict[str, Any]:
    """Return the JSON that a command printed; it must have succeeded."""
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def catalogue(policy: BackupPolicy) -> Catalogue:
    """Return the catalogue of a place."""
    return Catalogue(open_store(policy.target))


def counted(database: SampleDatabase) -> dict[str, int]:
    """Return the number of rows of each table that is filled."""
    return {
        table: database.one(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        for table in ROWS
    }


class TestBeside:
    """The live database is not touched."""

    @pytest.mark.parametrize("form", FORMS)
    def test_a_restore_into_a_new_database_is_complete(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        form: Form,
    ) -> None:
        """Rows, contents, indexes and constraints; its name says what it is."""
        entry = backups["full", form]
        done = answer(command(source, policy, "restore", entry.name, "--json"))
        assert done["database"].startswith(f"{source.name}_restored_2")
        assert done["rows"] == {name: facts.rows for name, facts in entry.tables.items()}
        assert {name: done["rows"][name] for name in ROWS} == ROWS
        restored = source.at(done["database"])
        assert counted(restored) == ROWS
        assert structure(restored.url) == structure(source.url)
        assert (
            restored.one('SELECT name FROM templates ORDER BY name COLLATE "C" DESC LIMIT 1')
            == "Wünsche 4"
        )
        assert (done["revision"], done["is_behind"]) == (entry.revision, False)

    def test_the_newest_full_backup_is_restored_by_default(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """Those of a part are newer, and not taken."""
        newest = max(
            (entry for entry in backups.values() if entry.contents == "full"),
            key=lambda entry: entry.started_at,
        )
        result = command(source, policy, "restore")
        assert result.exit_code == 0
        assert f"{newest.name} is in database {source.name}_restored_" in result.output
        assert "psql -d" in result.output

    @pytest.mark.parametrize("contents", ["full", "table"])
    @pytest.mark.parametrize("form", FORMS)
    def test_one_table_is_restored_with_rows_and_indexes(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        contents: Contents,
        form: Form,
    ) -> None:
        """And alone: without the tables that its foreign keys lead to it has none."""
        table = "template_versions"
        done = answer(
            command(
                source, policy, "restore", backups[contents, form].name, "--table", table, "--json"
            )
        )
        assert done["rows"] == {table: ROWS[table]}
        restored = structure(source.at(done["database"]).url)
        wanted = {
            name: definition
            for name, definition in structure(source.url).items()
            if "template_versions" in name and "FOREIGN KEY" not in definition
        }
        assert restored == wanted
        assert len([name for name in restored if name.startswith("index ")]) >= 7

    @pytest.mark.parametrize("form", FORMS)
    def test_a_schema_dump_restores_no_rows(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        form: Form,
    ) -> None:
        """Its tables are those of the source."""
        name = backups["schema", form].name
        done = answer(command(source, policy, "restore", name, "--json"))
        assert set(done["rows"].values()) == {0}
        assert structure(source.at(done["database"]).url) == structure(source.url)

    @pytest.mark.parametrize("form", FORMS)
    def test_a_data_dump_is_restored_into_migrated_tables(
        self,
        servers: LocalStack,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        form: Form,
    ) -> None:
        """Once: a second time the tables are not empty."""
        name = backups["data", form].name
        with sample_database(servers, filled=False) as empty:
            arguments = ("restore", name, "--into", empty.name, "--json")
            assert answer(command(source, policy, *arguments))["database"] == empty.name
            assert counted(empty) == ROWS
            again = command(source, policy, *arguments)
            assert (again.exit_code, counted(empty)) == (1, ROWS)
            assert "are not empty: " in again.output

    def test_an_encrypted_backup_is_restored(
        self, live: SampleDatabase, own: BackupPolicy, tmp_path: Path
    ) -> None:
        """With the identity; without it the error says which setting is missing."""
        pyrage = pytest.importorskip("pyrage")
        identity = pyrage.x25519.Identity.generate()
        (tmp_path / "identity").write_text(f"{identity}\n")
        (tmp_path / "recipients").write_text(f"{identity.to_public()}\n")
        policy = BackupPolicy(
            target=own.target,
            recipients_file=str(tmp_path / "recipients"),
            identity_file=str(tmp_path / "identity"),
        )
        create(live.client, policy)
        assert answer(command(live, policy, "restore", "--json"))["rows"]["templates"] == 5
        before = live.databases()
        result = command(live, own, "restore")
        assert (result.exit_code, live.databases()) == (1, before)
        assert "TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE" in result.output


class TestInto:
    """``--into``: a database that the operator names."""

    def test_a_missing_database_is_created(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """Also when the live database itself is lost: that is the day it is needed."""
        lost = source.at(f"{source.name}_lost")
        name = backups["full", "custom"].name
        done = answer(
            command(lost, policy, "restore", name, "--foreign", "--into", lost.name, "--json")
        )
        assert done["database"] == lost.name
        assert counted(lost) == ROWS

    def test_an_empty_database_keeps_its_settings(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """It was made for this."""
        target = source.at(f"{source.name}_empty")
        name = backups["full", "custom"].name
        with administering(source.url) as admin:
            admin.execute(f"CREATE DATABASE {target.name}".encode())
            admin.execute(f"ALTER DATABASE {target.name} SET work_mem = '7MB'".encode())
        answer(command(source, policy, "restore", name, "--into", target.name, "--json"))
        assert (counted(target), target.one("SHOW work_mem")) == (ROWS, "7MB")

    def test_a_database_that_is_not_empty_is_refused(
        self, live: SampleDatabase, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """A restore would mix with it."""
        live.run("DELETE FROM idempotency_records")
        before = live.databases(), counted(live)
        name = backups["full", "custom"].name
        result = command(source, policy, "restore", name, "--into", live.name)
        assert result.exit_code == 1
        assert f"database {live.name} is not empty" in result.output
        assert (live.databases(), counted(live)) == before


class TestOverLive:
    """``--over-live``: a safety dump, then one database replaces the other."""

    def test_a_restore_over_live_copies_owner_grants_and_settings(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """Owner, grants, settings of the database and of a role in it, comment and limit."""
        role = f"{live.name}_app"
        entry = create(live.client, own)
        name = sql.Identifier(live.name)
        with administering(live.url) as admin:
            for statement in (
                sql.SQL("CREATE ROLE {role} LOGIN"),
                sql.SQL("ALTER DATABASE {name} OWNER TO {role}"),
                sql.SQL("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
                sql.SQL("GRANT CONNECT ON DATABASE {name} TO {role} WITH GRANT OPTION"),
                sql.SQL("""ALTER DATABASE {name} SET search_path = "$user", public, 'odd one'"""),
                sql.SQL("ALTER DATABASE {name} SET log_min_duration_statement = '1s'"),
                sql.SQL("ALTER ROLE {role} IN DATABASE {name} SET statement_timeout = '9s'"),
                sql.SQL("ALTER ROLE {role} IN DATABASE {name} SET role = 'pg_read_all_data'"),
                sql.SQL("ALTER ROLE {role} IN DATABASE {name} SET local_preload_libraries = 'a'"),
                sql.SQL("COMMENT ON DATABASE {name} IS 'it''s ours'"),
                sql.SQL("ALTER DATABASE {name} CONNECTION LIMIT 77"),
            ):
                admin.execute(statement.format(name=name, role=sql.Identifier(role)))
        try:
            wanted = _belongings(live)
            assert len(wanted[1]) == 5
            live.run("DELETE FROM templates")
            live.run("INSERT INTO templates (template_id, name, type) VALUES ('new', 'New', 'sms')")
            done = answer(
                command(live, own, "restore", entry.name, "--over-live", "--yes", "--json")
            )
            assert (counted(live), _belongings(live)) == (ROWS, wanted)
            assert live.one("SELECT count(*) FROM pg_stats WHERE schemaname = 'public'") > 0
            assert done["restored"]["database"] == live.name
            aside = live.at(done["aside"])
            assert aside.name.startswith(f"{live.name}_before_")
            assert aside.run("SELECT template_id FROM templates") == [("new",)]
            safety = catalogue(own).get(done["safety"])
            assert safety.tables["templates"].rows == 1
            assert live.databases() == {live.name, aside.name}
        finally:
            with administering(live.url) as admin:
                for row in admin.execute(
                    "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{live.name}%"]
                ).fetchall():
                    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                    if row["datname"] != live.name:
                        admin.execute(drop.format(sql.Identifier(row["datname"])))
                for statement in (
                    sql.SQL("ALTER DATABASE {name} OWNER TO CURRENT_USER"),
                    sql.SQL("REVOKE ALL ON DATABASE {name} FROM {role}"),
                    sql.SQL("ALTER ROLE {role} IN DATABASE {name} RESET ALL"),
                    sql.SQL("DROP ROLE {role}"),
                ):
                    admin.execute(statement.format(name=name, role=sql.Identifier(role)))

    def test_sessions_are_terminated_and_reconnect_to_the_restored_database(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """Also one that is in the middle of a transaction: workers try again."""
        entry = create(live.client, own)
        with psycopg.connect(live.url) as session:
            session.execute("DELETE FROM templates")
            result = command(live, own, "restore", entry.name, "--over-live", "--yes")
            assert result.exit_code == 0, result.output
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        assert "DROP DATABASE" in result.output
        assert counted(live) == ROWS

    @pytest.mark.parametrize("arguments", [(), ("--table", "templates")], ids=["whole", "table"])
    def test_a_restore_over_live_asks_for_confirmation(
        self, live: SampleDatabase, own: BackupPolicy, arguments: tuple[str, ...]
    ) -> None:
        """Where nobody answers, nothing is done: not even a safety dump."""
        create(live.client, own)
        live.run("DELETE FROM idempotency_records")
        before = live.databases(), counted(live), len(catalogue(own).entries())
        result = command(live, own, "restore", "--over-live", *arguments)
        assert result.exit_code == 1
        assert live.name in result.output
        assert (live.databases(), counted(live), len(catalogue(own).entries())) == before

    def test_a_newer_schema_is_not_replaced_by_an_older_one(
        self, servers: LocalStack, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """Workers of this release would not know the tables."""
        with sample_database(servers, revision="0003") as old:
            entry = create(old.client, own)
        result = command(live, own, "restore", entry.name, "--foreign", "--over-live", "--yes")
        assert result.exit_code == 1
        assert "alembic upgrade head" in result.output
        assert (live.databases(), counted(live)) == ({live.name}, ROWS)
        assert len(catalogue(own).entries()) == 1
        beside = answer(command(live, own, "restore", entry.name, "--foreign", "--json"))
        assert (beside["revision"], beside["is_behind"]) == ("0003", True)

    @pytest.mark.parametrize("contents", ["schema", "data"])
    def test_a_partial_backup_does_not_replace_the_live_database(
        self, live: SampleDatabase, policy: BackupPolicy, backups: Made, contents: Contents
    ) -> None:
        """The error says to choose a full one."""
        name = backups[contents, "custom"].name
        result = command(live, policy, "restore", name, "--foreign", "--over-live", "--yes")
        assert (result.exit_code, counted(live)) == (1, ROWS)
        assert "full backup" in result.output


def put_back(live: SampleDatabase, own: BackupPolicy, entry: Entry, table: str) -> dict[str, Any]:
    """Merge a table of a backup into the live one; return what is printed."""
    arguments = ("restore", entry.name, "--table", table, "--over-live", "--yes", "--json")
    return answer(command(live, own, *arguments))


class TestPutBack:
    """``--table`` with ``--over-live``: rows as the backup has them."""

    def test_rows_are_merged_by_primary_key(self, live: SampleDatabase, own: BackupPolicy) -> None:
        """Missing ones are inserted, changed ones updated, unknown ones stay."""
        entry = create(live.client, own)
        live.run("DELETE FROM idempotency_records WHERE key = 'a'")
        live.run("UPDATE idempotency_records SET result = '[1]' WHERE key = 'b'")
        live.run(
            "INSERT INTO idempotency_records (key, task, content_sha256) VALUES ('c', 't', '')"
        )
        arguments = (
            "restore",
            entry.name,
            "--table",
            "idempotency_records",
            "--over-live",
            "--yes",
        )
        done = answer(command(live, own, *arguments, "--json"))
        assert {key: done[key] for key in ("inserted", "updated", "unchanged", "kept")} == {
            "inserted": 1,
            "updated": 1,
            "unchanged": 0,
            "kept": 1,
        }
        results = dict(live.run("SELECT key, result::text FROM idempotency_records"))
        assert results == {"a": '{"b": 1, "a": [null, 1.5]}', "b": None, "c": None}
        assert catalogue(own).get(done["safety"]).tables["idempotency_records"].rows == 2
        again = answer(command(live, own, *arguments, "--json"))
        assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 2)
        assert live.databases() == {live.name}

    def test_the_current_version_is_merged_back(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """There is one current version at any moment, in whichever order rows are updated."""
        entry = create(live.client, own, form="plain")
        live.run("UPDATE template_versions SET is_current = false")
        live.run("UPDATE template_versions SET is_current = version = '1'")
        done = put_back(live, own, entry, "template_versions")
        assert (done["updated"], done["unchanged"]) == (8, 1)
        current = live.run(
            "SELECT version, count(*) FROM template_versions WHERE is_current GROUP BY 1"
        )
        assert dict(current) == {"2": 4, "1": 1}

    def test_rows_of_tables_that_inherit_from_it_stay(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """They have the same keys, and are no rows of the table."""
        live.run("CREATE TABLE parent (id int PRIMARY KEY, value text)")
        live.run("CREATE TABLE child (more int) INHERITS (parent)")
        live.run("INSERT INTO parent VALUES (1, 'p'), (2, 'q')")
        live.run("INSERT INTO child VALUES (1, 'child', 5)")
        entry = create(live.client, own)
        live.run("DELETE FROM ONLY parent WHERE id = 2")
        live.run("INSERT INTO child VALUES (2, 'other', 1)")
        done = put_back(live, own, entry, "parent")
        assert (done["inserted"], done["updated"], done["kept"]) == (1, 0, 0)
        assert live.run("SELECT * FROM ONLY parent ORDER BY id") == [(1, "p"), (2, "q")]
        assert live.run("SELECT * FROM child ORDER BY id") == [(1, "child", 5), (2, "other", 1)]

    def test_values_that_name_objects_name_the_same_ones(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """By their names, since their numbers differ between databases."""
        live.run("CREATE TABLE names (id int PRIMARY KEY, one regclass, many regtype[])")
        live.run("INSERT INTO names VALUES (1, 'templates', '{templates,text}')")
        entry = create(live.client, own)
        live.run("UPDATE names SET one = 'template_versions'")
        done = put_back(live, own, entry, "names")
        assert (done["updated"], done["unchanged"]) == (1, 0)
        shown = live.run("SELECT one::text, many::text FROM names")
        assert shown == [("templates", "{templates,text}")]
        beside = answer(command(live, own, "restore", entry.name, "--table", "names", "--json"))
        live.run(f'DROP DATABASE "{beside["database"]}"'.encode())

    def test_a_value_that_names_a_missing_object_is_a_conflict(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """And the table stays as it is."""
        live.run("CREATE TABLE other ()")
        live.run("CREATE TABLE names (id int PRIMARY KEY, one regclass)")
        live.run("INSERT INTO names VALUES (1, 'other')")
        entry = create(live.client, own)
        live.run("DELETE FROM names")
        live.run("DROP TABLE other")
        result = command(
            live, own, "restore", entry.name, "--table", "names", "--over-live", "--yes"
        )
        assert result.exit_code == 1
        problem = 'name an object that the live database lacks: relation "public.other"'
        assert problem in " ".join(result.output.split())
        assert live.run("SELECT * FROM names") == []

    @pytest.mark.parametrize(
        ("table", "constraint"),
        [
            ("template_translations", "fk_template_translations"),
            ("templates", "idx_templates_template_id"),
        ],
        ids=["foreign key", "unique"],
    )
    def test_a_conflict_leaves_the_table_unchanged(
        self, live: SampleDatabase, own: BackupPolicy, table: str, constraint: str
    ) -> None:
        """The error names the constraint, and no row's contents."""
        entry = create(live.client, own)
        live.run("DELETE FROM templates")
        live.run(
            "INSERT INTO templates (template_id, name, type) VALUES ('footer', 'Other', 'partial')"
        )
        before = counted(live)
        result = command(live, own, "restore", entry.name, "--table", table, "--over-live", "--yes")
        assert result.exit_code == 1
        assert constraint in result.output
        assert "Wünsche" not in result.output
        assert (counted(live), live.databases()) == (before, {live.name})


class TestRefusals:
    """Each ends with exit status 1, says what to do, and leaves no database behind."""

    @pytest.fixture(autouse=True)
    def _nothing_left(self, source: SampleDatabase) -> Iterator[None]:
        before = source.databases()
        yield
        assert source.databases() == before
        assert counted(source) == ROWS

    def test_a_damaged_file_is_refused(
        self, source: SampleDatabase, own: BackupPolicy, policy: BackupPolicy, backups: Made
    ) -> None:
        """Before any of it reaches pg_restore or psql, which would run it."""
        for form in FORMS:
            entry = backups["full", form]
            shutil.copytree(policy.target, own.target, dirs_exist_ok=True)
            file = Path(own.target) / entry.dump.name
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
            result = command(source, own, "restore", entry.name)
            assert result.exit_code == 1
            assert f"checksum mismatch in {file.name}: " in result.output

    def test_a_backup_of_a_newer_release_is_refused(
        self, source: SampleDatabase, own: BackupPolicy, policy: BackupPolicy, backups: Made
    ) -> None:
        """Its migration is not one of this checkout."""
        shutil.copytree(policy.target, own.target)
        entry = backups["full", "custom"].model_copy(update={"revision": "9999"})
        catalogue(own).add(entry)
        result = command(source, own, "restore", entry.name)
        assert result.exit_code == 1
        assert "migration 9999, which this release does not have" in result.output

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nothing",), "no backup nothing"),
            (("--table", "nothing"), "has no table nothing"),
            (("--into", "x", "--over-live"), "are mutually exclusive"),
            (("--jobs", "0"), "--jobs"),
        ],
    )
    def test_a_missing_backup_or_table_is_refused(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        arguments: tuple[str, ...],
        message: str,
    ) -> None:
        """Names are checked before anything is made."""
        assert backups
        result = command(source, policy, "restore", *arguments)
        assert result.exit_code != 0
        assert message in result.output

    def test_a_data_dump_without_tables_is_refused(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """The error says how the tables are made."""
        result = command(source, policy, "restore", backups["data", "plain"].name)
        assert result.exit_code == 1
        assert "alembic upgrade" in result.output

    def test_a_wrong_password_is_reported(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """It is not repeated."""
        wrong = SampleDatabase(source.url.replace(":", ":SEKRET", 2).replace(":SEKRET//", "://", 1))
        result = command(wrong, policy, "restore", backups["full", "plain"].name)
        assert result.exit_code == 1
        assert "password authentication failed" in result.output
        assert "SEKRET" not in result.output

    def test_a_role_that_may_not_create_databases_is_refused(
        self, source: SampleDatabase, policy: BackupPolicy, backups: Made
    ) -> None:
        """The error names the right that is missing."""
        role = f"{source.name}_weak"
        with administering(source.url) as admin:
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'".encode())
            weak = SampleDatabase(f"postgresql://{role}:weak@{source.url.rpartition('@')[2]}")
            result = command(weak, policy, "restore", backups["full", "plain"].name)
            admin.execute(f"DROP ROLE {role}".encode())
        assert result.exit_code == 1
        assert "CREATEDB" in result.output

    @pytest.mark.parametrize("form", FORMS)
    def test_a_killed_program_leaves_nothing_behind(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        backups: Made,
        tmp_path: Path,
        form: Form,
    ) -> None:
        """What it had made by then goes with its database."""
        program = {"custom": "pg_restore", "plain": "psql"}[form]
        real = wheel()
        assert real is not None
        for path in real.iterdir():
            (tmp_path / path.name).symlink_to(path)
        (tmp_path / program).unlink()
        script = (
            "#!/bin/sh\n"
            f'case "$*" in *--version*|*--list*) exec "{real / program}" "$@";; esac\n'
            f'"{real / program}" "$@"\n'
            "kill -9 $$\n"
        )
        (tmp_path / program).write_text(script)
        (tmp_path / program).chmod(0o755)
        result = command(
            source,
            policy,
            "restore",
            backups["full", form].name,
            TEMPLATE_SERVICE_POSTGRES_PROGRAMS=str(tmp_path),
        )
        assert result.exit_code == 1
        assert f"{program} was killed by signal 9" in result.output

    def test_an_archive_of_a_newer_pg_dump_is_refused(
        self, source: SampleDatabase, own: BackupPolicy, policy: BackupPolicy, backups: Made
    ) -> None:
        """Its header says so; the error names the setting for newer programs."""
        shutil.copytree(policy.target, own.target)
        entry = backups["full", "custom"]

        def newer(dump: bytes) -> bytes:
            return dump[:6] + bytes([dump[6] + 1]) + dump[7:]

        resealed(catalogue(own), entry, newer)
        result = command(source, own, "restore", entry.name)
        assert result.exit_code == 1
        assert "TEMPLATE_SERVICE_POSTGRES_PROGRAMS" in result.output


class TestRoles:
    """``--roles``: for a server that has the tables' owners not yet."""

    def test_missing_roles_are_created_and_existing_ones_unchanged(
        self, live: SampleDatabase, own: BackupPolicy
    ) -> None:
        """Without the option the error names it; passwords come along as they were stored."""
        owner, other = f"{live.name}_owner", f"{live.name}_other"
        with administering(live.url) as admin:
            admin.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'one'".encode())
            admin.execute(f"CREATE ROLE {other} CONNECTION LIMIT 5".encode())
            admin.execute(f"GRANT {other} TO {owner}".encode())
            live.run(f"ALTER TABLE templates OWNER TO {owner}".encode())
            entry = create(live.client, own)
            verifier = live.one("SELECT rolpassword FROM pg_authid WHERE rolname = %(n)s", n=owner)
            live.run(f"ALTER TABLE templates OWNER TO CURRENT_USER; DROP ROLE {owner}".encode())
            admin.execute(f"ALTER ROLE {other} CONNECTION LIMIT 6".encode())
            before = live.databases()
            refused = command(live, own, "restore", entry.name)
            assert (refused.exit_code, live.databases()) == (1, before)
            assert f'role "{owner}" does not exist' in refused.output
            assert "--roles" in refused.output
            done = answer(command(live, own, "restore", entry.name, "--roles", "--json"))
            try:
                assert done["roles"] == [owner]
                made = live.one("SELECT rolpassword FROM pg_authid WHERE rolname = %(n)s", n=owner)
                assert made == verifier
                limit = live.one("SELECT rolconnlimit FROM pg_roles WHERE rolname = %(n)s", n=other)
                assert limit == 6
                assert live.one("SELECT pg_has_role(%(a)s, %(b)s, 'MEMBER')", a=owner, b=other)
            finally:
                admin.execute(f"DROP DATABASE {done['database']}".encode())
                admin.execute(f"DROP ROLE {owner}, {other}".encode())


def test_generated_names_are_truncated_and_unused(source: SampleDatabase) -> None:
    """PostgreSQL cuts names after 63 bytes by itself, and two would become one."""
    with administering(source.url) as admin:
        long = unused_name(admin, "ü" * 40, "restored")
        assert len(long.encode()) <= NAME_BYTES
        assert long.startswith("üüüü")
        name = f"{source.name}_restored"
        first = unused_name(admin, source.name, "restored")
        assert first.startswith(f"{name}_2")


def _belongings(database: SampleDatabase) -> tuple[Any, ...]:
    """Return what belongs to a database and is not in a dump of it."""
    about = database.run(
        "SELECT datdba::regrole::text, datconnlimit, shobj_description(oid, 'pg_database')"
        " FROM pg_database WHERE datname = current_database()"
    )
    settings = database.run(
        "SELECT setrole::regrole::text, unnest(setconfig) FROM pg_db_role_setting AS s"
        " JOIN pg_database AS d ON d.oid = s.setdatabase"
        " WHERE datname = current_database() ORDER BY 1, 2"
    )
    grants = database.run(
        "SELECT a.grantee::regrole::text, a.privilege_type, a.is_grantable"
        " FROM pg_database, aclexplode(datacl) AS a"
        " WHERE datname = current_database() ORDER BY 1, 2"
    )
    return about, settings, grants
