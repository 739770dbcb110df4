"""Compare a restored database with its dump: rows, contents and schema."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Final

from db.backup.catalogue import Entry, TableFacts
from db.backup.databases import connected
from db.backup.snapshot import BY_COLUMN, set_text_format, table_facts, table_names
from db.errors import Kind, OperationError

MOST_SHOWN: Final = 5
_STRUCTURE: Final = files("db.backup.restore").joinpath("structure.sql").read_bytes()
_CASTS: Final = re.compile(r"::[a-z ]+|[()\[\]]")


def compare_rows(
    conninfo: str, entry: Entry, *, jobs: int, table: str | None = None
) -> dict[str, int]:
    """Compare row counts and checksums of a restored database with the catalog; return rows.

    Raises OperationError: ``contents_differ``, with the tables and their numbers of rows.

    Parameters
    ----------
    jobs
        Tables to read in parallel.
    table
        The only table that was restored.
    """
    wanted = {name: facts for name, facts in entry.tables.items() if table in (None, name)}
    with connected(conninfo) as connection:
        existing = set(table_names(connection))
    both = sorted(wanted.keys() & existing)
    queue = iter(both)  # shared by the threads
    found: dict[str, TableFacts] = {}
    with ThreadPoolExecutor(max_workers=jobs) as threads:
        as_stored = entry.encoding is None

        def read(_: int) -> dict[str, TableFacts]:
            with connected(conninfo) as connection:
                set_text_format(connection)
                return {
                    name: table_facts(
                        connection,
                        name,
                        as_stored=as_stored,
                        by_column=wanted[name].digest.startswith(BY_COLUMN),
                    )
                    for name in queue
                }

        for facts in threads.map(read, range(jobs)):
            found |= facts
    problems = [_difference(name, wanted[name], found.get(name)) for name in sorted(wanted)]
    if table is None:
        problems += [f"{name} is not in the dump" for name in sorted(existing - wanted.keys())]
    if shown := [problem for problem in problems if problem is not None]:
        raise OperationError(
            "contents_differ",
            f"the restored database differs from {entry.name}: {_first(shown)}",
            "restore from another backup, and take a new one",
        )
    return {name: found[name].rows for name in both}


def structure(conninfo: str) -> dict[str, str]:
    """Return the definition of each column, index, constraint, trigger, view and function.

    Casts and brackets are removed, because a dump and restore changes them: ``'a'::varchar``
    becomes ``('a'::varchar)::text``.
    """
    with connected(conninfo) as connection:
        found = connection.execute(_STRUCTURE).fetchall()
    return {f"{kind} {name}": _CASTS.sub("", definition) for kind, name, definition in found}


def compare_structure(entry: Entry, found: Mapping[str, str], wanted: Mapping[str, str]) -> int:
    """Compare a restored schema with its migration's; return the number of its objects.

    Additional objects, such as an operator's own index, are allowed.

    Raises OperationError: ``schema_differs``, with the objects that are missing or differ.
    """
    problems = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    problems += [
        f"{name} differs"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    problems += [
        f"{name} is invalid"
        for name in sorted(found.keys() - wanted.keys())
        if name.startswith("index ") and found[name].endswith(" invalid")
    ]
    if problems:
        raise OperationError(
            Kind.SCHEMA_DIFFERS,
            f"the schema of {entry.name} differs from migration {entry.revision}: "
            f"{_first(problems)}",
            "check the database that was dumped: template-service db doctor",
        )
    return len(wanted)


def _difference(name: str, wanted: TableFacts, found: TableFacts | None) -> str | None:
    if found is None:
        return f"{name} is missing"
    if found.rows != wanted.rows:
        return f"{name} has {found.rows} rows instead of {wanted.rows}"
    return f"{name}: contents differ" if found.digest != wanted.digest else None


def _first(problems: list[str]) -> str:
    more = len(problems) - MOST_SHOWN
    shown = ", ".join(problems[:MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
