"""Load a fetched dump into a database, without objects that the server cannot have."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Final

from psycopg import sql

from db.backup.catalogue import Entry
from db.backup.databases import connected
from db.backup.snapshot import SCHEMA
from db.cluster.unnamed import UnnamedFile
from db.commands.core import Client
from db.commands.restore import as_script, contents, restore_archive, run_script

_TRANSACTION_TIMEOUT: Final = 17  # the first PostgreSQL with that setting
_SET_TIMEOUT: Final = {b"SET transaction_timeout = 0;\n"}
SMALL: Final = 4 * 1024 * 1024  # bytes, not compressed
# `2563; 0 16386 TABLE DATA public templates owner`, as pg_restore --list has it.
_LISTED: Final = re.compile(
    r"\d+; \d+ \d+ (?P<kind>FK CONSTRAINT|TABLE DATA|COMMENT|EXTENSION) (?P<schema>\S+)"
    r"(?: EXTENSION)? (?P<name>\S+)"
)
# The name and the owner after it are not quoted, and either may have spaces.
_DATA: Final = re.compile(r"\d+; \d+ \d+ TABLE DATA public (?P<names>.+)")
# The other tables are empty, with which the query of a view may fail.
_VIEW_DATA: Final = re.compile(r"\d+; \d+ \d+ MATERIALIZED VIEW DATA ")
_EXTENSION: Final = re.compile(
    rb'(?:CREATE EXTENSION IF NOT EXISTS|COMMENT ON EXTENSION) "?(?P<name>[^" ]+)"? '
)
_CREATABLE: Final = """
SELECT DISTINCT name
FROM pg_available_extension_versions
WHERE NOT superuser OR trusted
    OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
_OTHERS: Final = """
SELECT c.relname, c.relkind = 'f' FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f') AND c.relname <> %s
"""
_EVENT_TRIGGERS: Final = "SELECT evtname FROM pg_event_trigger WHERE evtenabled <> 'D'"
_PARENTS: Final = """
SELECT n.nspname, p.relname, p.relkind = 'p'
FROM pg_inherits AS i
JOIN pg_class AS p ON p.oid = i.inhparent
JOIN pg_namespace AS n ON n.oid = p.relnamespace
WHERE i.inhrelid = %s::regclass
"""


def jobs_for(dump: UnnamedFile) -> int:
    """Return the number of parallel jobs for a fetched dump.

    One job for each processor, and one more to work while another waits for the disk. A small dump
    is restored before a second job would be connected.
    """
    return 1 if dump.size < SMALL else len(os.sched_getaffinity(0)) + 1


def load(
    client: Client, entry: Entry, dump: UnnamedFile, *, jobs: int, table: str | None = None
) -> None:
    """Restore a fetched dump into the client's empty database.

    Extensions that the server does not have, or that the role may not create, are skipped: no
    table needs one. The foreign keys of a single table are skipped, because the tables that they
    refer to are missing.

    After an OperationError the database is incomplete.

    Parameters
    ----------
    entry
        Catalog entry of the dump; not a dump of data alone.
    dump
        Result of :func:`db.backup.verify.fetch`.
    jobs
        Parallel jobs.
    table
        The only table to restore; ``None`` for all.
    """
    single = table if table is not None else entry.table
    unknown = _unknown_settings(client)
    if entry.form == "plain":
        with dump.open() as lines:
            missing = _missing_extensions(client, _script_extensions(lines))
        _run(client, dump, missing, unknown, keys=single is None)
    else:
        listed = contents(client, dump)
        missing = _missing_extensions(client, _archive_extensions(listed))
        entries = [line for line in listed if _is_restored(line, missing, single)]
        if unknown:
            with dump.sibling() as script:
                as_script(client, dump, script, entries=entries)
                _run(client, script, missing, unknown, keys=True)
        else:
            restore_archive(client, dump, jobs=jobs, entries=entries)


def load_data(client: Client, entry: Entry, dump: UnnamedFile) -> None:
    """Load a dump of data alone into the empty tables of the client's database, all or nothing."""
    with ExitStack() as stack:
        script = dump
        if entry.form == "custom":
            script = stack.enter_context(dump.sibling())
            as_script(client, dump, script, entries=contents(client, dump))
        # The dump contains the same row as the migrations have inserted.
        before = "DELETE FROM public.alembic_version"
        _run(client, script, set(), _unknown_settings(client), keys=True, before=before)


def _run(  # noqa: PLR0913 - a script, and what to remove from it
    client: Client,
    script: UnnamedFile,
    missing: set[str],
    unknown: set[bytes],
    *,
    keys: bool,
    before: str | None = None,
) -> None:
    """Run a plain dump without some extensions, some settings, and optionally its foreign keys."""
    with ExitStack() as stack:
        if missing or unknown or not keys:
            filtered = stack.enter_context(script.sibling())
            with script.open() as lines, filtered.path.open("wb") as file:
                file.writelines(filter_script(lines, missing, unknown, keys=keys))
            script = filtered
        run_script(client, stack.enter_context(script.open()), before=before)


def _unknown_settings(client: Client) -> set[bytes]:
    """Return the lines of these programs with settings that the server does not have.

    https://www.postgresql.org/docs/current/app-pgdump.html: for an older server "manual editing of
    the dump file" may be required.
    """
    with connected(client.url) as connection:
        server = connection.info.server_version // 10_000
    has_timeout = client.programs.major("pg_restore") >= _TRANSACTION_TIMEOUT
    return _SET_TIMEOUT if has_timeout and server < _TRANSACTION_TIMEOUT else set()


def _is_restored(line: str, missing: set[str], single: str | None) -> bool:
    if (match := _LISTED.match(line)) is None:
        return single is None or _VIEW_DATA.match(line) is None
    match match["kind"]:
        case "FK CONSTRAINT":
            return single is None
        case "TABLE DATA":
            return single is None or _is_data_of(line, single)
        case "EXTENSION":
            return match["name"] not in missing
        case _:
            return match["schema"] != "-" or match["name"] not in missing


def _is_data_of(line: str, table: str) -> bool:
    """Return whether a line may be of the rows of a table.

    Rows of a table whose name begins with this name and a space are restored, and then dropped.
    """
    match = _DATA.match(line)
    shown = table.replace("\n", " ").replace("\r", " ")  # as pg_restore --list shows it
    return match is not None and match["names"].startswith(f"{shown} ")


def _archive_extensions(listed: Iterable[str]) -> set[str]:
    found = (_LISTED.match(line) for line in listed)
    return {match["name"] for match in found if match is not None and match["kind"] == "EXTENSION"}


def _script_extensions(lines: Iterable[bytes]) -> set[str]:
    wanted = set()
    for line in lines:
        if line.startswith((b"COPY ", b"CREATE TABLE ")):
            break  # pg_dump writes extensions before tables
        if (name := _extension(line)) is not None:
            wanted.add(name)
    return wanted


def _extension(line: bytes) -> str | None:
    match = _EXTENSION.match(line)
    return None if match is None else match["name"].decode()


def _missing_extensions(client: Client, wanted: set[str]) -> set[str]:
    if not wanted:
        return set()
    with connected(client.url) as connection:
        return wanted - {name for (name,) in connection.execute(_CREATABLE)}


def filter_script(
    lines: Iterable[bytes], missing: set[str], unknown: set[bytes], *, keys: bool
) -> Iterator[bytes]:
    r"""Yield the lines of a plain dump without some extensions, settings, and foreign keys.

    pg_dump writes foreign keys as two lines, ``ALTER TABLE ONLY`` and ``ADD CONSTRAINT``. The data
    between ``COPY`` and ``\.`` are unchanged.
    """
    is_data = False
    held = b""
    for line in lines:
        if is_data:
            is_data = line.rstrip(b"\r\n") != b"\\."
        elif held:
            is_key = b" FOREIGN KEY (" in line
            if not is_key:
                yield held
            held = b""
            if is_key:
                continue
        elif not keys and line.startswith(b"ALTER TABLE ONLY ") and not line.endswith(b";\n"):
            held = line
            continue
        elif line in unknown or _extension(line) in missing:
            continue
        else:
            is_data = line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n")
        yield line


def drop_others(client: Client, table: str) -> None:
    """Drop all tables of a restored database but one.

    Once its rows are compared: without the others, values of type ``regclass`` are numbers.
    """
    kept = sql.Identifier(SCHEMA, table)
    with connected(client.url) as connection:
        # One may prevent that anything is dropped.
        for (name,) in connection.execute(_EVENT_TRIGGERS).fetchall():
            trigger = sql.Identifier(name)
            connection.execute(sql.SQL("ALTER EVENT TRIGGER {} DISABLE").format(trigger))
        # A partition would go with its parent.
        for schema, name, is_partition in connection.execute(
            _PARENTS, [kept.as_string()]
        ).fetchall():
            parent = sql.Identifier(schema, name)
            names = (parent, kept) if is_partition else (kept, parent)
            verb = "DETACH PARTITION" if is_partition else "NO INHERIT"
            connection.execute(sql.SQL(f"ALTER TABLE {{}} {verb} {{}}").format(*names))
        for name, is_foreign in connection.execute(_OTHERS, [table]).fetchall():
            # IF EXISTS: partitions went with the table that they are of.
            drop = f"DROP {'FOREIGN ' * is_foreign}TABLE IF EXISTS {{}} CASCADE"
            connection.execute(sql.SQL(drop).format(sql.Identifier(SCHEMA, name)))
