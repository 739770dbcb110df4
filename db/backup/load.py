"""From a fetched dump to tables, and which of its objects are left out on the way."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from psycopg import sql

from db.backup.catalogue import Entry
from db.backup.databases import connected
from db.commands.core import Client
from db.commands.restore import as_script, contents, restore_archive, run_script

_TRANSACTION_TIMEOUT: Final = 17  # the PostgreSQL that brought it
_SET_TIMEOUT: Final = {b"SET transaction_timeout = 0;\n"}
SMALL: Final = 4 * 1024 * 1024  # bytes, not compressed
# `2563; 0 16386 TABLE DATA public templates owner`, as pg_restore --list has it.
_LISTED: Final = re.compile(
    r"\d+; \d+ \d+ (?P<kind>FK CONSTRAINT|TABLE DATA|COMMENT|EXTENSION) (?P<schema>\S+)"
    r"(?: EXTENSION)? (?P<name>\S+)"
)
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
SELECT c.oid::regclass::text AS name
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> %s
"""


def jobs_for(dump: Path) -> int:
    """Return how many tables and indexes of a fetched dump are best made at the same time.

    One for each processor, and one more to work while another waits for the disk. A small dump is
    restored before a second one is connected.
    """
    if dump.stat().st_size < SMALL:
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores + 1


def load(client: Client, entry: Entry, dump: Path, *, jobs: int, table: str | None = None) -> None:
    """Restore a fetched dump into the client's database, which is empty.

    Extensions that the server does not have, or that the role may not create, are left out: no
    table needs one. Of a single table the foreign keys are left out, for want of what they lead to.

    Parameters
    ----------
    client
        The database, as a role that may create in it what the dump has.
    entry
        Of the dump; not one of data alone.
    dump
        Of :func:`db.backup.fetch.fetch`. Files are written beside it.
    jobs
        Tables and indexes that are made at the same time.
    table
        The only table to bring back; ``None`` for all.

    Raises
    ------
    OperationError
        What went wrong; the database is then half-made, and best dropped.
    """
    single = table if table is not None else entry.table
    unknown = _unknown_settings(client)
    if entry.form == "plain":
        with dump.open("rb") as lines:
            missing = _missing_extensions(client, _wanted_by_script(lines))
        _run(client, dump, missing, unknown, keys=single is None)
    else:
        listed = contents(client, dump)
        missing = _missing_extensions(client, _wanted_by_archive(listed))
        kept = [line for line in listed if _is_kept(line, missing, single)]
        if unknown:
            script = dump.with_name("archive.sql")
            as_script(client, dump, script, chosen=kept)
            _run(client, script, missing, unknown, keys=True)
        else:
            restore_archive(client, dump, jobs=jobs, chosen=kept)
    if table is not None and entry.table is None:
        _drop_others(client, table)


def load_data(client: Client, entry: Entry, dump: Path) -> None:
    """Restore a dump of data alone into the empty tables of the client's database, or nothing."""
    script = dump
    if entry.form == "custom":
        script = dump.with_name("archive.sql")
        as_script(client, dump, script, chosen=contents(client, dump))
    # The migrations have put their revision there, as the dump does.
    before = "DELETE FROM public.alembic_version"
    _run(client, script, set(), _unknown_settings(client), keys=True, before=before)


def _run(  # noqa: PLR0913 - what is run, and what is left out of it
    client: Client,
    script: Path,
    missing: set[str],
    unknown: set[bytes],
    *,
    keys: bool,
    before: str | None = None,
) -> None:
    """Run a plain dump without some extensions, some settings, and if so told its foreign keys."""
    if missing or unknown or not keys:
        chosen = script.with_name("chosen.sql")
        with script.open("rb") as lines, chosen.open("wb") as file:
            file.writelines(_statements(lines, missing, unknown, keys=keys))
        script = chosen
    with script.open("rb") as file:
        run_script(client, file, before=before)


def _unknown_settings(client: Client) -> set[bytes]:
    """Return the lines by which these programs set what the server does not have.

    https://www.postgresql.org/docs/current/app-pgdump.html: for an older server "manual editing of
    the dump file" may be required, and this is what that comes to.
    """
    with connected(client.url) as connection:
        server = connection.info.server_version // 10_000
    has_timeout = client.programs.major("pg_restore") >= _TRANSACTION_TIMEOUT
    return _SET_TIMEOUT if has_timeout and server < _TRANSACTION_TIMEOUT else set()


def _is_kept(line: str, missing: set[str], single: str | None) -> bool:
    if (match := _LISTED.match(line)) is None:
        return True
    match match["kind"]:
        case "FK CONSTRAINT":
            return single is None
        case "TABLE DATA":
            return single is None or match["name"] == single
        case "EXTENSION":
            return match["name"] not in missing
        case _:
            return match["schema"] != "-" or match["name"] not in missing


def _wanted_by_archive(listed: Iterable[str]) -> set[str]:
    found = (_LISTED.match(line) for line in listed)
    return {match["name"] for match in found if match is not None and match["kind"] == "EXTENSION"}


def _wanted_by_script(lines: Iterable[bytes]) -> set[str]:
    wanted = set()
    for line in lines:
        if line.startswith((b"COPY ", b"CREATE TABLE ")):
            break  # pg_dump has the extensions before all tables
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


def _statements(
    lines: Iterable[bytes], missing: set[str], unknown: set[bytes], *, keys: bool
) -> Iterator[bytes]:
    r"""Yield the lines of a plain dump without some extensions, settings, and foreign keys.

    pg_dump writes those keys as two lines, ``ALTER TABLE ONLY`` and ``ADD CONSTRAINT``. What is
    between ``COPY`` and ``\.`` is data and stays as it is.
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


def _drop_others(client: Client, table: str) -> None:
    with connected(client.url) as connection:
        for (name,) in connection.execute(_OTHERS, [table]).fetchall():
            # regclass quotes where it has to, so this is an identifier already.
            connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(name)))
