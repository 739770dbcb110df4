"""The whole service from the command line: up, status, down, as a user types them."""

import base64
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from db.cluster.processes import Identity, wait_until
from worker.directories import DIRECTORY_VARIABLE
from worker.local import LocalStack

PROGRAM = Path(sys.executable).with_name("template-service")
PARTS = ["postgres", "valkey", "worker", "beat", "flower"]
TIMEOUT = 120


class Stack:
    """One directory for the stack, and the commands on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {**os.environ, DIRECTORY_VARIABLE: str(directory)}
        self._seen: set[Identity] = set()

    def call(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        self.look()
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one command."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def look(self) -> dict[str, Identity]:
        """Return which processes run now, by name, and remember them."""
        records = {
            "supervisor": self.directory / "supervisor",
            "postgres": self.directory / "postgres" / "process",
            "valkey": self.directory / "valkey" / "process",
            **{
                name: self.directory / "run" / f"{name}.process"
                for name in ("worker", "beat", "flower")
            },
        }
        state = {
            name: identity
            for name, record in records.items()
            if (identity := Identity.read(record)) is not None
        }
        self._seen |= set(state.values()) | _children(state.values())
        return state

    def left(self) -> list[Identity]:
        """Return every process ever seen, with its children, that still runs."""
        self.look()
        return [identity for identity in self._seen if identity.alive()]

    def gone(self) -> bool:
        """Tell whether all of them end; the children of a killed server take a moment."""
        return wait_until(lambda: not self.left(), 10)

    def states(self) -> tuple[int, dict[str, str]]:
        """Return the exit status of ``status``, and the state of each part it shows."""
        done = self.call("status")
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        return done.returncode, {row[0]: row[1] for row in rows if row[0] in PARTS}

    def sourced(self, command: str) -> str:
        """Return what a shell command prints after the environment file was sourced."""
        return subprocess.run(
            ["/bin/sh", "-ec", f'. "$1"; {command}', "sh", self.directory / "env"],
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        ).stdout.strip()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Give a directory for the stack; in the end nothing may run there."""
    new_stack = Stack(tmp_path / "it's local")
    yield new_stack
    done = new_stack.call("down")
    for identity in new_stack.left():
        identity.stop(signal.SIGKILL)
    assert done.returncode == 0, done.stderr


def test_up_status_and_down_work_as_documented(stack: Stack) -> None:
    """Detached, and in the foreground until Ctrl-C: as the help says; the data stay."""
    assert stack.states() == (3, dict.fromkeys(PARTS, "stopped"))
    down = stack.call("down")
    assert (down.returncode, down.stdout) == (0, "Nothing was running.\n")

    up = stack.call("up", "--detach", FLOWER_TASKS_COLUMNS="uuid,template_id,code")
    assert up.returncode == 0, up.stderr
    assert stack.states() == (0, dict.fromkeys(PARTS, "running"))
    running = stack.look()
    assert set(running) == {"supervisor", *PARTS}
    addresses = up.stdout.splitlines()[:3]

    _check_secrets(stack, up.stdout)
    _check_environment(stack)
    _check_flower(stack, up.stdout)
    _check_metrics(up.stdout)
    stack.sourced('psql -c "CREATE TABLE kept ()"')

    again = stack.call("up", "--detach")
    assert again.returncode == 0
    assert again.stdout.splitlines()[:3] == addresses
    refused = stack.call("up")
    assert refused.returncode == 1
    assert "Already running" in refused.stdout
    assert stack.look() == running

    down = stack.call("down")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert stack.gone()
    assert stack.states() == (3, dict.fromkeys(PARTS, "stopped"))

    with stack.start("up") as process:
        lines = _lines_until(process, "Stop with Ctrl-C")
        assert lines[:2] == addresses[:2]
        assert set(stack.look()) == {"supervisor", *PARTS}
        kept = stack.sourced("""psql -Atc "SELECT to_regclass('kept')" """)
        assert kept == "kept"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")
    assert stack.gone()


def test_only_one_of_two_concurrent_ups_runs_and_its_remains_are_cleaned_up(stack: Stack) -> None:
    """Only one of two that start together runs; the other says so.

    What a killed supervisor left behind is reported; the next up starts everything anew. When a
    part ends, it says which, shows its log, stops the others and fails.
    """
    both = [stack.start("up", "--detach") for _ in range(2)]
    outputs = [each.communicate(timeout=TIMEOUT) for each in both]
    assert 0 in [each.returncode for each in both], outputs
    for each, (_, errors) in zip(both, outputs, strict=True):
        assert each.returncode == 0 or "a stack already runs" in errors
    before = stack.look()
    assert set(before) == {"supervisor", *PARTS}
    before["supervisor"].stop(signal.SIGKILL)
    assert set(stack.look()) == set(PARTS)
    status = stack.call("status")
    assert status.returncode == 3
    assert "The supervisor is gone" in status.stdout
    with stack.start("up") as up:
        _lines_until(up, "Stop with Ctrl-C")
        assert not any(identity.alive() for identity in before.values())
        _check_silent(stack)
        os.kill(stack.look()["worker"].pid, signal.SIGKILL)
        _, errors = up.communicate(timeout=TIMEOUT)
    assert up.returncode == 1
    assert "worker ended (exit status -9)" in errors
    assert stack.gone()


def test_a_terminal_closed_during_the_start_stops_everything(stack: Stack) -> None:
    """With exit status 0, as Ctrl-C does."""
    with stack.start("up") as up:
        assert wait_until(lambda: "flower" in stack.look(), TIMEOUT)
        up.send_signal(signal.SIGHUP)
        _, errors = up.communicate(timeout=TIMEOUT)
    assert (up.returncode, errors) == (0, "")
    assert stack.gone()


def test_down_stops_what_a_killed_supervisor_left_running(stack: Stack) -> None:
    """Its servers live on without it."""
    with stack.start("up") as up:
        assert wait_until(lambda: {"postgres", "valkey"} <= set(stack.look()), TIMEOUT)
        up.kill()
        up.communicate(timeout=TIMEOUT)
    assert {"postgres", "valkey"} <= set(stack.look())
    down = stack.call("down")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert stack.gone()


def test_up_fails_if_a_part_does_not_start(stack: Stack) -> None:
    """A wrong setting makes up fail with its name, and leaves nothing running."""
    up = stack.call("up", "--detach", TEMPLATE_SERVICE_DB_POOL_SIZE="none")
    assert up.returncode == 1
    assert "TEMPLATE_SERVICE_DB_POOL_SIZE" in up.stderr
    assert stack.gone()


def test_a_local_stack_takes_several_workers_and_an_environment(tmp_path: Path) -> None:
    """The class behind the commands takes several workers and an environment of its own."""
    with LocalStack(
        tmp_path,
        workers=2,
        beat=False,
        flower=False,
        concurrency=1,
        environment={"TEMPLATE_SERVICE_KEEP_VERSIONS": "3"},
        die_with_parent=True,
    ) as stack:
        assert [part.name for part in stack.status()] == ["postgres", "valkey", "worker", "worker2"]
        assert stack.started()
        environment = stack.environment()
        assert environment["DATABASE_URL"] == stack.postgres.url
        assert environment["TEMPLATE_SERVICE_KEEP_VERSIONS"] == "3"
        pid = stack.processes["worker2"].pid
        assert b"TEMPLATE_SERVICE_KEEP_VERSIONS=3" in Path(f"/proc/{pid}/environ").read_bytes()
        assert stack.failed() is None
        stack.processes["worker2"].kill()
        assert "worker2 ended" in str(stack.failed())
    assert not any(part.pid for part in stack.status())


def _children(parents: Iterable[Identity]) -> set[Identity]:
    numbers = {parent.pid for parent in parents}
    children = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        identity = Identity.of(int(file.parent.name)) if parent in numbers else None
        if identity is not None:
            children.add(identity)
    return children


def _check_silent(stack: Stack) -> None:
    """Status asks: a process that exists but does not answer is shown as silent."""
    assert stack.states() == (0, dict.fromkeys(PARTS, "running"))
    worker = stack.look()["worker"]
    worker.send(signal.SIGSTOP)
    try:
        code, states = stack.states()
    finally:
        worker.send(signal.SIGCONT)
    assert code == 3
    assert states == {**dict.fromkeys(PARTS, "running"), "worker": "silent"}


def _check_secrets(stack: Stack, shown: str) -> None:
    assert shown.count("***") == 2
    passwords = [
        (stack.directory / name / "password").read_bytes() for name in ("postgres", "valkey")
    ]
    logs = [file.read_bytes() for file in (stack.directory / "log").iterdir()]
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(file.read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            continue
    for password in passwords:
        assert password.decode() not in shown
        assert not any(password in text for text in (*logs, *commands))
    environment = stack.directory / "env"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    # Root's is open for the search of a name that one knows, so that its server gets through.
    assert stat.S_IMODE(stack.directory.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def _check_environment(stack: Stack) -> None:
    assert stack.sourced('psql -Atc "SELECT 1"') == "1"
    assert stack.sourced("command -v psql").endswith("pginstall/bin/psql")
    assert stack.sourced("command -v celery") == str(Path(sys.executable).with_name("celery"))
    pong = stack.sourced('celery --broker "$CELERY_BROKER_URL" inspect ping')
    assert "1 node online" in pong
    assert stack.sourced('echo "$CELERY_RESULT_BACKEND"').endswith("/1")


def _check_flower(stack: Stack, shown: str) -> None:
    """Check the password, the columns that FLOWER_TASKS_COLUMNS chose, and the dead letters."""
    match = re.search(r"http://127\.0\.0\.1:\d+/", shown)
    assert match is not None
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _page(f"{match[0]}tasks")
    address = urlsplit(stack.sourced('echo "$FLOWER_URL"'))
    assert address.password is not None
    assert address.password not in shown
    credentials = f"{address.username}:{address.password}"
    assert re.findall(r'data-column="(\w+)"', _page(f"{match[0]}tasks", credentials)) == [
        *("uuid", "template_id", "code")
    ]
    assert 'id="dead-letters"' in _page(f"{match[0]}broker", credentials)


def _check_metrics(shown: str) -> None:
    """Check that worker and beat serve metrics, each at the address that is printed."""
    addresses = re.findall(r"(http://127\.0\.0\.1:\d+/metrics) \((\w+)\)", shown)
    assert [name for _, name in addresses] == ["worker", "beat"]
    for address, name in addresses:
        page = _page(address)
        assert "template_service_build_info" in page
        assert ("template_service_pool_processes" in page) is (name == "worker")
        assert _page(address.replace("metrics", "healthz")) == "ok\n"
        assert _page(address.replace("metrics", "readyz")) == "ok\n"


def _page(address: str, credentials: str = "") -> str:
    request = urllib.request.Request(address)  # noqa: S310 - http, as matched
    if credentials:
        encoded = base64.b64encode(credentials.encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    with urllib.request.urlopen(request, timeout=10) as page:  # noqa: S310 - the same
        text: str = page.read().decode()
    return text


def _lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """Return the lines that a command prints before the one that is waited for."""
    assert process.stdout is not None
    end = time.monotonic() + TIMEOUT
    lines: list[str] = []
    for line in process.stdout:
        if wanted in line:
            return lines
        lines.append(line.rstrip("\n"))
        assert time.monotonic() < end, line
    assert process.stderr is not None
    pytest.fail(f"up ended without {wanted!r}: {process.stderr.read()}")
