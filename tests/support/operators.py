"""An operator at a command line, and a server for nobody but one test module."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner, Result

from db import migrations
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from worker.cli.database import database

DATABASE = "watched"


class Operator:
    """Runs ``template-service db`` on one database."""

    def __init__(self, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.environment = {"DATABASE_URL": url, **(environment or {})}

    def run(self, *arguments: str) -> Result:
        """Run a command; nobody is there to answer a question."""
        return CliRunner().invoke(database, arguments, env=self.environment, catch_exceptions=False)

    def output(self, *arguments: str) -> str:
        """Return what a command prints that must succeed."""
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return done.output

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - a JSON value
        """Return the JSON of a command that must succeed."""
        return json.loads(self.output(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        """Return what a command prints that must fail."""
        done = self.run(*arguments)
        assert done.exit_code == 1, done.output
        return done.output


@contextmanager
def private_server(
    folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[PrivateCluster, str]]:
    """Start a server with one migrated database; yield it and the database's address."""
    cluster = PrivateCluster(Programs.chosen(), folder / "data", settings=settings)
    cluster.initialise()
    with cluster:
        run(cluster.url(), f"CREATE DATABASE {DATABASE}")
        migrations.upgrade(cluster.url(DATABASE))
        yield cluster, cluster.url(DATABASE)


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in a session of its own; return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
