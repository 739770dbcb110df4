"""``template-service``, ``alembic`` and ``celery`` in forks of one process that has imported them.

A walkthrough of fifty commands takes a minute of imports otherwise. What is run is the same: its
arguments, folder, environment, standard streams and exit status are those of the shell.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

PROGRAMS: Final = {
    "alembic": ("alembic.config", "main"),
    "celery": ("celery.__main__", "main"),
    "template-service": ("worker.cli", "main"),
}
_IMPORTED: Final = (
    "alembic.command",
    "alembic.runtime.migration",
    "celery.bin.celery",
    "db.backup.drill",
    "db.backup.prune",
    "db.backup.restore.merge_table",
    "db.backup.restore.replace_live",
    "db.monitoring.doctor",
    "db.monitoring.history",
    "db.monitoring.top",
    "db.recovery.check",
    "db.recovery.drill",
    "db.recovery.restore",
    "db.recovery.verify",
    "db.replication.servers",
    "db.replication.standby",
    "db.roles.apply",
    "kombu.transport.redis",
    "rich.table",
    "tasks.services.drills",
    "tasks.services.report",
    "worker.authoring.bundle_file",
    "worker.authoring.offline",
    "worker.authoring.pull",
    "worker.authoring.push",
    "worker.authoring.reports",
    "worker.authoring.scaffold",
    "worker.backlog",
    "worker.cli.templates_check",
    "worker.cli.templates_stored",
    "worker.cli.templates_sync",
    "worker.configuration",
    "worker.dead_letters",
    "worker.local.supervisor",
    "worker.local.swap",
    "worker.producer",
    "worker.reserved",
)
"""What commands import; not ``worker.app``, whose settings come from the environment."""
_CLIENT: Final = """\
#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
call = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode() + b"\\n"
socket.send_fds(server, [call[:1]], [0, 1, 2])
server.sendall(call[1:])
sys.exit(int(server.recv(16)))
"""


@contextmanager
def forked_commands(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield an environment whose :data:`PROGRAMS` are forks.

    The folder of these programs is put before its ``PATH``. Where coverage is measured, nothing is:
    forks would not be counted.
    """
    if any(name.startswith("COV") for name in os.environ):
        yield environment
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        for name in PROGRAMS:
            client = Path(folder) / name
            client.write_text(_CLIENT.format(python=sys.executable, path=path))
            client.chmod(0o755)
        command = [sys.executable, "-m", "tests.support.forked_commands", path]
        with subprocess.Popen(
            command,
            cwd=Path(__file__).parent.parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield environment | {"PATH": f"{folder}:{environment['PATH']}"}
            server.stdin.close()


def _serve(path: str) -> None:
    """Run commands until standard input ends."""
    for module in (*_IMPORTED, *(module for module, _ in PROGRAMS.values())):
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _run(connection)
            connection.close()


def _run(connection: socket.socket) -> None:
    """Run one command in this fork, and end it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    call, streams, _, _ = socket.recv_fds(connection, 1, 3)
    while not call.endswith(b"\n"):
        call += connection.recv(2**16)
    sys.argv, folder, environment = json.loads(call)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    module, function = PROGRAMS[Path(sys.argv[0]).name]
    code: object = 0
    try:
        getattr(import_module(module), function)()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b"%d" % (code if isinstance(code, int) else int(code is not None)))
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
