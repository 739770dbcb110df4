"""Whether a restored database is what was dumped: the rows, and what they are kept in."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Final

from db.backup.catalogue import Entry, TableFacts
from db.backup.databases import connected
from db.backup.facts import table_facts, table_names
from db.errors import OperationError

MOST_TOLD: Final = 5
_STRUCTURE: Final = files("db.backup").joinpath("structure.sql").read_bytes()

_CASTS: Final = re.compile(r"::[a-z ]+|[()\[\]]")


def rows_of(conninfo: str, entry: Entry, *, jobs: int, table: str | None = None) -> dict[str, int]:
    """Count the rows of a restored database and compare contents with those of the dump.

    Parameters
    ----------
    conninfo
        The database.
    entry
        Has rows and digest of each table, taken in the snapshot of the dump.
    jobs
        Tables that are read at the same time.
    table
        The only one that was restored.

    Returns
    -------
    dict
        Rows of each table.

    Raises
    ------
    OperationError
        ``contents_differ``, naming the tables and their numbers of rows.
    """
    wanted = {name: facts for name, facts in entry.tables.items() if table in (None, name)}
    with connected(conninfo) as connection:
        there = set(table_names(connection))
    both = sorted(wanted.keys() & there)
    waiting = iter(both)  # the threads take from it in turn
    found: dict[str, TableFacts] = {}
    with ThreadPoolExecutor(max_workers=jobs) as threads:
        for facts in threads.map(lambda _: _facts(conninfo, waiting), range(jobs)):
            found |= facts
    problems = [_difference(name, wanted[name], found.get(name)) for name in sorted(wanted)]
    problems += [
        f"{name} was not in the dump" for name in sorted(there - wanted.keys()) if table is None
    ]
    told = [problem for problem in problems if problem is not None]
    if told:
        raise OperationError(
            "contents_differ",
            f"{entry.name} does not bring back what was dumped: {_few(told)}",
            "restore from another backup, and take a new one",
        )
    return {name: found[name].rows for name in both}


def structure(conninfo: str) -> dict[str, str]:
    """Return the definition of each column, index, constraint, trigger, view and function.

    Without casts and brackets, in which an expression that went through a dump differs from the one
    that was dumped: ``'a'::varchar`` becomes ``('a'::varchar)::text``.
    """
    with connected(conninfo) as connection:
        found = connection.execute(_STRUCTURE).fetchall()
    return {f"{kind} {name}": _CASTS.sub("", definition) for kind, name, definition in found}


def require_structure(entry: Entry, found: Mapping[str, str], wanted: Mapping[str, str]) -> int:
    """Compare a restored schema with that of its migration; return how many objects it has.

    An operator's own index beside those of the migrations is no difference.

    Raises
    ------
    OperationError
        ``schema_differs``, naming what is missing or other.
    """
    problems = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    problems += [
        f"{name} is another"
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
            "schema_differs",
            f"{entry.name} is not what migration {entry.revision} makes: {_few(problems)}",
            "look at the database that was dumped: template-service db doctor",
        )
    return len(wanted)


def _facts(conninfo: str, tables: Iterator[str]) -> dict[str, TableFacts]:
    with connected(conninfo) as connection:
        return {table: table_facts(connection, table) for table in tables}


def _difference(name: str, wanted: TableFacts, found: TableFacts | None) -> str | None:
    if found is None:
        return f"{name} is missing"
    if found.rows != wanted.rows:
        return f"{name} has {found.rows} rows instead of {wanted.rows}"
    return f"the contents of {name} are others" if found.digest != wanted.digest else None


def _few(problems: list[str]) -> str:
    more = len(problems) - MOST_TOLD
    told = ", ".join(problems[:MOST_TOLD])
    return f"{told} and {more} more" if more > 0 else told
