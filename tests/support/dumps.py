"""Backups in tests: where they go, who makes them, and programs that fail."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

from db.backup.catalogue import Catalogue, Entry, TableFacts, open_store
from db.backup.create import create
from db.backup.policy import BackupPolicy
from db.backup.snapshot import set_text_format, table_facts, table_names
from db.backup.source import Source
from db.backup.streams import reader
from db.cluster.programs import Programs
from db.commands.core import Client
from tasks import runtime
from worker.cli.backup import backup
from worker.local import LocalStack


@contextmanager
def s3_bucket(name: str) -> Iterator[Any]:
    """Yield a bucket of a server of S3, which every client in this process is led to meanwhile."""
    # Half a second, which no other test needs.
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in {
                "AWS_ENDPOINT_URL": f"http://{host}:{port}",
                "AWS_ALLOW_HTTP": "true",
                "AWS_ACCESS_KEY_ID": "operator",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "eu-central-1",
                "AWS_DEFAULT_REGION": "eu-central-1",
            }.items():
                patch.setenv(variable, value)
            bucket = boto3.resource("s3").Bucket(name)
            bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            yield bucket
            # Buckets belong to the process, which may need one of that name once more.
            bucket.objects.all().delete()
            bucket.delete()
    finally:
        server.stop()


@dataclass(frozen=True)
class Backups:
    """A database and the place of its backups."""

    client: Client
    policy: BackupPolicy

    @property
    def catalogue(self) -> Catalogue:
        """What is known of them."""
        return Catalogue(open_store(self.policy.target))

    @property
    def source(self) -> Source:
        """The database."""
        return Source.read(self.client.url)

    @property
    def folder(self) -> Path:
        """Where they are, if that is a folder."""
        return Path(self.policy.target)

    def make(self, **options: Any) -> Entry:  # noqa: ANN401 - those of create()
        """Make a backup."""
        return create(self.client, self.policy, **options)

    def plain(self, entry: Entry) -> bytes:
        """Return what pg_dump printed."""
        with reader(open_store(self.policy.target), entry.dump, self.policy) as stream:
            return stream.read()

    def files(self) -> dict[str, bytes]:
        """Return all that is in the folder."""
        if not self.folder.exists():
            return {}
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def using(self, **policy: Any) -> "Backups":  # noqa: ANN401 - fields of the policy
        """Return the same with another policy."""
        return replace(self, policy=replace(self.policy, **policy))

    def command(self, *arguments: str) -> Result:
        """Run ``template-service backup`` with these settings."""
        environment = {
            "DATABASE_URL": self.client.url,
            "TEMPLATE_SERVICE_POSTGRES_PROGRAMS": str(self.client.programs.folder),
            "TEMPLATE_SERVICE_BACKUP_TARGET": self.policy.target,
            "TEMPLATE_SERVICE_BACKUP_RECIPIENTS_FILE": self.policy.recipients_file,
            "TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE": self.policy.identity_file,
        }
        return CliRunner(env=environment).invoke(backup, arguments)

    @contextmanager
    def as_settings(self) -> Iterator[None]:
        """Have the tasks of this process use all this."""
        current = runtime.current()
        configured = current.configuration
        operations = replace(
            configured.operations,
            url=self.client.url,
            programs=str(self.client.programs.folder),
            backup=self.policy,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(current, "configuration", replace(configured, operations=operations))
            yield


def backups(servers: LocalStack, folder: Path) -> Backups:
    """Return the backups of the database of ``servers``, in a folder that is not there yet."""
    return Backups(
        Client(Programs.chosen(), servers.postgres.url), BackupPolicy(target=str(folder))
    )


def facts(url: str) -> dict[str, TableFacts]:
    """Return what the tables of a database hold."""
    with psycopg.connect(url) as connection:
        set_text_format(connection)
        return {name: table_facts(connection, name) for name in table_names(connection)}


@contextmanager
def new_database(servers: LocalStack, name: str) -> Iterator[str]:
    """Yield the address of an empty database, which is gone afterwards."""
    database = sql.Identifier(name)
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
        try:
            yield servers.postgres.url_of(name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def wrapped(folder: Path, real: Path | None = None, /, **scripts: str) -> Programs:
    """Return PostgreSQL's programs, some of them behind a shell script.

    ``real`` is their directory, by default the chosen one. A script finds the program as ``$REAL``;
    ``--version`` never reaches the script.
    """
    folder.mkdir()
    for program in (real or Programs.chosen().folder).iterdir():
        path = folder / program.name
        if (script := scripts.get(program.name)) is None:
            path.symlink_to(program)
        else:
            head = f'REAL="{program}"\n[ "$1" != --version ] || exec "$REAL" --version\n'
            _script(path, head + script)
    return Programs(folder)


def aged(folder: Path, program: str, version: str) -> Programs:
    """Return PostgreSQL's programs, one of which says that it is of another version."""
    programs = wrapped(folder)
    path = programs.folder / program
    path.unlink()
    _script(path, f'echo "{program} (PostgreSQL) {version}"')
    return programs


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)  # noqa: PTH101, S103 - others are to run it, as the programs themselves
