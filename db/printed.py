"""SQL and shell commands in messages, quoted so that an operator can paste them."""

import re
import shlex
from typing import Final

from psycopg import sql
from psycopg.conninfo import make_conninfo

# psql and its relatives read such a name as a connection string:
# https://www.postgresql.org/docs/current/app-psql.html#R1-APP-PSQL-3
_NO_PLAIN_NAME: Final = re.compile(r".*=|postgres(?:ql)?://", re.DOTALL)


def identifier(*names: str) -> str:
    """Return a name in SQL, such as ``"public"."my table"``."""
    return sql.Identifier(*names).as_string()


def literal(text: str) -> str:
    """Return a string in SQL."""
    return sql.Literal(text).as_string().strip()


def database_option(name: str) -> str:
    """Return the word of a shell that names a database to psql, vacuumdb and others."""
    if _NO_PLAIN_NAME.match(name):
        return shlex.quote(make_conninfo(dbname=name))
    return shlex.quote(name)


def psql(database: str, statement: str | None = None) -> str:
    """Return a command line of psql."""
    line = f"psql -d {database_option(database)}"
    return line if statement is None else f"{line} -c {shlex.quote(statement)}"
