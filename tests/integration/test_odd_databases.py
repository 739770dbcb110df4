"""Databases that are unlike a developer's: other encodings, partitions, names with spaces."""

import shlex
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from db import migrations
from db.addresses import Database, connection_options
from db.backup import snapshot
from db.backup.catalogue import Catalogue, open_store
from db.backup.create import create
from db.backup.databases import administering, connected, drop
from db.backup.drill import drill
from db.backup.policy import BackupPolicy
from db.backup.restore.merge_table import merge_table
from db.backup.restore.replace_live import replace_live
from db.backup.restore.restore import restore
from db.backup.snapshot import set_text_format, table_facts
from db.cluster.programs import Programs
from db.errors import OperationError
from db.printed import psql
from db.session import make_engine
from tests.support.sample_databases import ROWS, SampleDatabase, copy_of, sample_database
from worker.local import LocalStack

FORMS = ("custom", "plain")


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database to copy."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def live(source: SampleDatabase) -> Iterator[SampleDatabase]:
    """Give a database that a test may change."""
    with copy_of(source) as made:
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test."""
    (tmp_path / "scratch").mkdir()
    return BackupPolicy(target=str(tmp_path / "backups"), scratch=str(tmp_path / "scratch"))


@pytest.fixture(params=["LATIN1", "EUC_JP", "SQL_ASCII"])
def encoded(request: pytest.FixtureRequest, servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database in another encoding, with letters beyond ASCII."""
    made = SampleDatabase(servers.postgres.url_of(f"shop_{uuid4().hex[:12]}"))
    with administering(made.url) as admin:
        admin.execute(
            f"CREATE DATABASE {made.name} TEMPLATE template0 ENCODING '{request.param}'"
            " LOCALE_PROVIDER libc LOCALE 'C'".encode()
        )
    try:
        migrations.upgrade(made.url)
        text = "あいさつ" if request.param == "EUC_JP" else "Grüße"
        made.run(
            "INSERT INTO templates (template_id, name, type) VALUES ('a', %(text)s, 'sms')",
            text=text,
        )
        yield made
    finally:
        made.drop()


def test_a_database_in_another_encoding_is_sound(
    encoded: SampleDatabase, policy: BackupPolicy
) -> None:
    """The drill restores it into one in UTF-8; a restore, into one in its own encoding."""
    entry = create(encoded.client, policy)
    assert drill(Programs.chosen(), policy, render=lambda _: []).name == entry.name
    restored = restore(encoded.client, policy)
    assert restored.rows["templates"] == 1
    encoded.run("DELETE FROM templates")
    assert merge_table(encoded.client, policy, table="templates").inserted == 1
    assert replace_live(encoded.client, policy).restored.name == entry.name


def test_digests_of_earlier_versions_are_compared_as_they_were(
    encoded: SampleDatabase, policy: BackupPolicy
) -> None:
    """They are of the bytes that the server stores."""
    entry = create(encoded.client, policy)
    with psycopg.connect(encoded.url) as connection:
        set_text_format(connection)
        tables = {name: table_facts(connection, name, as_stored=True) for name in entry.tables}
    old = entry.model_copy(update={"encoding": None, "tables": tables})
    Catalogue(open_store(policy.target)).add(old)
    assert restore(encoded.client, policy).rows["templates"] == 1


PARTITIONED = """
CREATE TABLE measured (at date NOT NULL, value text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE measured_1 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measured_2 PARTITION OF measured FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO measured SELECT '2026-01-01'::date + n, n FROM generate_series(0, 40) AS n;
CREATE TABLE parents (id integer PRIMARY KEY);
CREATE TABLE children (PRIMARY KEY (id)) INHERITS (parents);
INSERT INTO children VALUES (1), (2);
"""


@pytest.mark.parametrize("form", FORMS)
def test_one_table_is_restored_next_to_partitions(
    live: SampleDatabase, policy: BackupPolicy, form: str
) -> None:
    """A table of the service, a partition, and a table that inherits."""
    live.run(PARTITIONED)
    entry = create(live.client, policy, form=form)  # type: ignore[arg-type]
    for table, rows in (
        ("templates", ROWS["templates"]),
        ("measured_1", 31),
        ("children", 2),
    ):
        done = restore(live.client, policy, name=entry.name, table=table)
        assert done.rows == {table: rows}
        assert live.at(done.database).run(
            "SELECT relname::text FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        ) == [(table,)]
    live.run("DELETE FROM measured WHERE at < '2026-01-11'")
    assert merge_table(live.client, policy, table="measured_1").inserted == 10
    assert restore(live.client, policy, name=entry.name).rows["measured_2"] == 10


FOREIGN = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/missing');
CREATE USER MAPPING FOR PUBLIC SERVER away;
CREATE FOREIGN TABLE remote (id integer) SERVER away;
CREATE TABLE parted (id integer) PARTITION BY LIST (id);
CREATE FOREIGN TABLE parted_1 PARTITION OF parted FOR VALUES IN (1) SERVER away;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (2);
"""


def test_a_database_is_restored_next_to_foreign_tables(
    live: SampleDatabase, policy: BackupPolicy
) -> None:
    """Their server is away, and nothing asks it."""
    live.run(FOREIGN)
    entry = create(live.client, policy)
    for table, rows in (("templates", ROWS["templates"]), ("parted_2", 1)):
        assert restore(live.client, policy, table=table).rows == {table: rows}
    live.run("DELETE FROM template_translations")
    assert merge_table(live.client, policy, table="template_translations").inserted == 16
    assert replace_live(live.client, policy).restored.name == entry.name


@pytest.mark.parametrize("name", ["postgresql://x", "-a=50%25 q\"uo'te \\;"])
def test_a_database_of_any_name_is_dumped_and_replaced(
    source: SampleDatabase, servers: LocalStack, policy: BackupPolicy, name: str
) -> None:
    """Psql and vacuumdb would take some of them for a connection string or an option."""
    name = f"{name} {uuid4().hex[:6]}"
    made = SampleDatabase(servers.postgres.url_of(quote(name, safe="")))
    database = sql.Identifier(name)
    with administering(made.url) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, sql.Identifier(source.name))
        )
        asides = []
        try:
            entry = create(made.client, policy)
            assert entry.database == name
            made.run("DELETE FROM template_translations")
            done = replace_live(made.client, policy)
            asides.append(done.aside)
            assert done.restored.name == entry.name
            assert made.one("SELECT count(*) FROM template_translations") == 16
            words = shlex.split(psql(name, "SELECT current_database()"))
            options = connection_options(made.url)
            shown = subprocess.run(
                [made.client.programs.path(words[0]), "-At", *words[1:]],
                env={f"PG{key.upper()}": options[key] for key in ("host", "port", "user")}
                | {"PGPASSWORD": options["password"]},
                capture_output=True,
                text=True,
                check=True,
            )
            assert shown.stdout == f"{name}\n"
        finally:
            for each in (name, *asides):
                drop(admin, each)


def test_rows_too_long_for_one_text_are_compared_by_column(
    live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text has at most 1 GB, and two columns of 300 MB may need more when they are quoted."""
    live.run("CREATE TABLE wide (id integer PRIMARY KEY, a text, b bytea)")
    live.run("""INSERT INTO wide VALUES (1, '"\', NULL), (2, NULL, '\\x00'), (3, '-', '')""")
    # Fails as the text of such a row does.
    too_long = """repeat('x', CASE WHEN "the row" IS NULL THEN 0 ELSE 1100000000 END)"""
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "_AS_STORED", sql.SQL(too_long))
        entry = create(live.client, policy)
    assert entry.tables["wide"].digest.startswith(snapshot.BY_COLUMN)
    assert restore(live.client, policy).rows["wide"] == 3
    live.run("UPDATE wide SET b = NULL WHERE id = 3; DELETE FROM wide WHERE id = 1")
    merged = merge_table(live.client, policy, table="wide")
    assert (merged.inserted, merged.updated, merged.unchanged) == (1, 1, 1)
    wrong = entry.tables["wide"].model_copy(update={"digest": f"{snapshot.BY_COLUMN}1"})
    other = entry.model_copy(update={"tables": entry.tables | {"wide": wrong}})
    Catalogue(open_store(policy.target)).add(other)
    with pytest.raises(OperationError, match="wide: contents differ"):
        restore(live.client, policy)


NAMES = ["my table", "my", 'q"uoted', "Upper", "two\nlines", "per%cent {brace}", "ünïcode"]


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_any_name_are_restored(
    live: SampleDatabase, policy: BackupPolicy, form: str
) -> None:
    """Alone, with all others, and their rows into the live table."""
    for number, name in enumerate(NAMES):
        table = sql.Identifier(name)
        live.run(sql.SQL("CREATE TABLE {} (id integer PRIMARY KEY)").format(table))
        live.run(sql.SQL("INSERT INTO {} SELECT generate_series(1, {})").format(table, number + 10))
    entry = create(live.client, policy, form=form)  # type: ignore[arg-type]
    for number, name in enumerate(NAMES):
        done = restore(live.client, policy, name=entry.name, table=name)
        assert done.rows == {name: number + 10}
        live.at("postgres").run(f"DROP DATABASE {done.database}".encode())
    table = sql.Identifier("my table")
    live.run(sql.SQL("DELETE FROM {} WHERE id < 4").format(table))
    assert merge_table(live.client, policy, table="my table").inserted == 3
    single = create(live.client, policy, contents="table", table="my table")
    assert restore(live.client, policy, name=single.name).rows == {"my table": 10}


ODD_OBJECTS = r"""
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE odd (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, moods mood[], pair pair, grants aclitem[]
);
INSERT INTO odd (moods, pair) SELECT '{sad,ok}', (n, 'Grüße')::pair FROM generate_series(1, 5) AS n;
CREATE MATERIALIZED VIEW ratio AS SELECT 100 / count(*) AS share FROM odd;
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'nothing is dropped here'; END $$;
CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("form", FORMS)
def test_one_table_is_restored_from_a_database_with_odd_objects(
    live: SampleDatabase, policy: BackupPolicy, form: str
) -> None:
    """A view that fails on empty tables, a trigger against drops, types of its own, identity."""
    live.run(ODD_OBJECTS)
    name = create(live.client, policy, form=form).name  # type: ignore[arg-type]
    assert restore(live.client, policy, name=name, table="templates").rows == {
        "templates": ROWS["templates"]
    }
    live.run("DELETE FROM odd WHERE id = 1")
    live.run("UPDATE odd SET moods = '{}' WHERE id = 2")
    done = merge_table(live.client, policy, table="odd")
    assert (done.inserted, done.updated, done.unchanged, done.kept) == (1, 1, 3, 0)
    assert live.one("SELECT count(*) FROM odd WHERE moods = '{sad,ok}'") == 5


def test_rows_that_a_trigger_would_change_are_not_merged(
    live: SampleDatabase, policy: BackupPolicy
) -> None:
    """Neither changed nor dropped: the table stays as it was."""
    create(live.client, policy)
    live.run("DELETE FROM templates WHERE type = 'partial'")
    live.run(
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    live.run("CREATE TRIGGER skip BEFORE INSERT ON templates FOR EACH ROW EXECUTE FUNCTION skip()")
    with pytest.raises(OperationError, match="changes 1 row of the backup") as caught:
        merge_table(live.client, policy, table="templates")
    assert caught.value.kind == "rows_changed"
    live.run("ALTER TABLE templates DISABLE TRIGGER USER")
    assert merge_table(live.client, policy, table="templates").inserted == 1


def test_timeouts_of_a_database_do_not_end_our_sessions(live: SampleDatabase) -> None:
    """One waits for the dump that another makes, and its queries read whole tables."""
    timeouts = ("idle_session_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    for name in timeouts:
        live.run(f"ALTER DATABASE {live.name} SET {name} = '1h'".encode())
    try:
        with connected(live.url) as connection:
            shown = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in timeouts]
    finally:
        for name in timeouts:
            live.run(f"ALTER DATABASE {live.name} RESET {name}".encode())
    assert shown == [("0",)] * len(timeouts)


def test_formats_of_a_database_are_not_those_of_our_sessions(
    live: SampleDatabase, policy: BackupPolicy
) -> None:
    """Psycopg reads times and intervals in one format; the merge reads what another wrote."""
    with administering(live.url) as admin:
        for setting in ("DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'"):
            admin.execute(f"ALTER DATABASE {live.name} SET {setting}".encode())
    create(live.client, policy)
    live.run("DELETE FROM template_partials")
    assert merge_table(live.client, policy, table="template_partials").inserted == 1
    engine = make_engine(Database(url=live.url))
    try:
        with engine.connect() as connection:
            row = connection.execute(text("SELECT now(), interval '-1 day 2 hours'")).one()
            assert isinstance(row[0], datetime)
            assert row[1] == timedelta(hours=-22)
    finally:
        engine.dispose()
