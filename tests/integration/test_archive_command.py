"""The archive command: whole, synced and never over another file, whatever happens meanwhile."""

import json
import os
import random
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest

from db.cluster.processes import wait_until
from db.hooks import hook_script
from db.zstd import zstd

SCRIPT = str(files("db.recovery").joinpath("archive.sh"))
NAME = "000000010000000000000007"
SIZE = 1 << 20
SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


class Archive:
    """A folder of WAL, a folder to archive to, and the command between them."""

    def __init__(self, directory: Path, shell: str) -> None:
        self.shell = ["busybox", "sh"] if shell == "busybox" else [shell]
        self.source = directory / "pg wal" / NAME
        self.source.parent.mkdir()
        self.source.write_bytes(random.Random(1).randbytes(SIZE))  # noqa: S311 - no secret
        self.folder = directory / "the archive's"
        self.folder.mkdir()
        self.target = self.folder / NAME
        self.script = SCRIPT

    @property
    def command(self) -> list[str]:
        """The call as PostgreSQL makes it."""
        return [*self.shell, self.script, str(self.source), str(self.target)]

    def call(self, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - subprocess.run's
        """Archive the file."""
        return subprocess.run(
            options.pop("command", self.command),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    def is_archived(self) -> bool:
        """Tell whether there is the whole file and nothing else."""
        names = [path.name for path in self.folder.iterdir()]
        return names == [NAME] and self.target.read_bytes() == self.source.read_bytes()

    def kill_in_the_middle(self, number: int) -> None:
        """Have the command wait for its source, and send it and its programs a signal."""
        content = self.source.read_bytes()
        self.source.unlink()
        os.mkfifo(self.source)
        with (
            subprocess.Popen(
                self.command, start_new_session=True, stderr=subprocess.DEVNULL
            ) as child,
            self.source.open("wb", buffering=0) as pipe,
        ):
            pipe.write(content[:1000])
            assert wait_until(lambda: any(self.folder.iterdir()), 30)
            os.killpg(child.pid, number)
            child.wait(30)
        self.source.unlink()
        self.source.write_bytes(content)


@pytest.fixture(params=SHELLS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """Give folders with a space and a quote in their names, for each shell that is there."""
    return Archive(tmp_path, request.param)


def test_a_file_is_archived(archive: Archive) -> None:
    """Nobody but its owner, and the group of the folder, can read it."""
    done = archive.call()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert archive.is_archived()
    assert stat.S_IMODE(archive.target.stat().st_mode) == 0o640


def test_archiving_the_same_file_again_succeeds(archive: Archive) -> None:
    """A server that crashed before it had noted the first time asks again."""
    archive.call()
    first = archive.target.stat()
    assert archive.call().returncode == 0
    assert archive.target.stat().st_ino == first.st_ino
    assert archive.is_archived()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"x" * SIZE], ids=["an empty file", "a short one", "another one"]
)
def test_an_archived_file_is_never_overwritten_by_a_different_one(
    archive: Archive, content: bytes
) -> None:
    """Two servers, or a server after a recovery, may archive to the same directory by mistake."""
    archive.target.write_bytes(content)
    done = archive.call()
    assert done.returncode == 1
    assert "is never replaced" in done.stderr
    assert archive.target.read_bytes() == content
    assert len(list(archive.folder.iterdir())) == 1


def test_a_killed_command_leaves_no_file_under_the_final_name(archive: Archive) -> None:
    """What was left is replaced by the next call."""
    archive.kill_in_the_middle(signal.SIGKILL)
    assert not archive.target.exists()
    assert len(list(archive.folder.iterdir())) == 1
    assert archive.call().returncode == 0
    assert archive.is_archived()


def test_a_stopping_server_leaves_no_temporary_file(archive: Archive) -> None:
    """It ends its archiver with SIGTERM."""
    archive.kill_in_the_middle(signal.SIGTERM)
    assert list(archive.folder.iterdir()) == []
    assert archive.call().returncode == 0
    assert archive.is_archived()


def test_a_full_disk_fails_the_command(archive: Archive) -> None:
    """A file that could not be written to its end gets no name."""
    limited = [*archive.shell, "-c", 'ulimit -f 512; exec "$@"', "sh", *archive.command]
    done = archive.call(command=limited)
    assert done.returncode == 1
    assert f"{NAME} was not archived" in done.stderr
    assert list(archive.folder.iterdir()) == []
    assert archive.call().returncode == 0
    assert archive.is_archived()


def remove_the_folder(archive: Archive) -> None:
    """Take the archive away, as an unmounted disk is."""
    archive.folder.rmdir()


def replace_the_folder(archive: Archive) -> None:
    """Have a file in its place."""
    archive.folder.rmdir()
    archive.folder.touch()


def remove_the_source(archive: Archive) -> None:
    """Take the WAL file away."""
    archive.source.unlink()


@pytest.mark.parametrize("damage", [remove_the_folder, replace_the_folder, remove_the_source])
def test_a_failing_archive_command_is_counted(
    archive: Archive, damage: Callable[[Archive], None]
) -> None:
    """With a status of which PostgreSQL takes note, and a reason for its log."""
    damage(archive)
    done = archive.call()
    assert done.returncode == 1
    assert f"archive.sh: {NAME} was not archived: " in done.stderr
    assert not archive.target.exists()


def test_concurrent_calls_archive_one_complete_file(archive: Archive) -> None:
    """One may lose its draft to another and fail; PostgreSQL asks again."""
    with ThreadPoolExecutor(6) as pool:
        statuses = {done.returncode for done in pool.map(lambda _: archive.call(), range(6))}
    assert 0 in statuses
    assert statuses <= {0, 1}
    assert archive.call().returncode == 0
    assert archive.is_archived()


def test_archiving_works_with_a_dd_without_sparse(archive: Archive, tmp_path: Path) -> None:
    """As that of busybox, in images with Alpine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    plain = programs / "dd"
    plain.write_text(
        '#!/bin/sh\ncase "$*" in *sparse*) echo "dd: invalid conv" >&2; exit 1;; esac\n'
        f'exec {shutil.which("dd")} "$@"\n'
    )
    plain.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = archive.call(env={"PATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    assert archive.is_archived()


def test_the_unused_rest_of_a_segment_takes_no_disk_space(archive: Archive) -> None:
    """A server at rest archives a segment every minute, nearly all of it zeros."""
    archive.source.write_bytes(b"x" * 65536 + bytes(SIZE - 65536))
    assert archive.call().returncode == 0
    assert archive.is_archived()
    assert archive.target.stat().st_size == SIZE
    assert archive.target.stat().st_blocks * 512 < SIZE // 2


@pytest.fixture
def installed(archive: Archive, tmp_path: Path) -> Archive:
    """Give the same with a copy of the command, which has files next to it."""
    script = tmp_path / "archive.sh"
    script.write_bytes(Path(SCRIPT).read_bytes())
    archive.script = str(script)
    return archive


@pytest.fixture
def compressing(installed: Archive, tmp_path: Path) -> Archive:
    """Give an archive that compresses."""
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed; segments are archived uncompressed then")
    (tmp_path / "compression").write_text("zstd\n")
    return installed


def test_a_segment_is_compressed(compressing: Archive) -> None:
    """With a checksum of zstd; the same segment again is archived already, another is refused."""
    for _ in range(2):
        done = compressing.call()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (path,) = compressing.folder.iterdir()
    assert path.name == f"{NAME}.zst"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert zstd.decompress(path.read_bytes()) == compressing.source.read_bytes()
    before = path.read_bytes()
    compressing.source.write_bytes(b"x" * SIZE)
    done = compressing.call()
    assert done.returncode == 1
    assert "is never replaced" in done.stderr
    assert {each: each.read_bytes() for each in compressing.folder.iterdir()} == {path: before}


@pytest.mark.parametrize("content", [b"", b"x", None], ids=["empty", "no zstd", "cut off"])
def test_a_damaged_compressed_segment_is_never_replaced(
    compressing: Archive, content: bytes | None
) -> None:
    """It may be the only copy of another one."""
    compressing.call()
    path = compressing.folder / f"{NAME}.zst"
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    before = path.read_bytes()
    done = compressing.call()
    assert (done.returncode, "is never replaced" in done.stderr) == (1, True)
    assert {each: each.read_bytes() for each in compressing.folder.iterdir()} == {path: before}


@pytest.mark.parametrize("program", [None, "exit 1", "cat >/dev/null; echo x"])
def test_a_segment_is_archived_uncompressed_where_zstd_does_not_work(
    compressing: Archive, tmp_path: Path, program: str | None
) -> None:
    """It is not installed, it fails, or what it writes is not the segment."""
    programs = tmp_path / "bin"
    programs.mkdir()
    tools = ("sh", "dash", "bash", "busybox", "cat", "cmp", "dd", "ln", "od", "rm", "sync", "uname")
    for name in tools:
        if (found := shutil.which(name)) is not None:
            (programs / name).symlink_to(found)
    if program is not None:
        (programs / "zstd").write_text(f"#!/bin/sh\n{program}\n")
        (programs / "zstd").chmod(0o755)
    assert compressing.call(env={"PATH": str(programs)}).returncode == 0
    assert compressing.is_archived()
    assert compressing.call().returncode == 0
    assert compressing.is_archived()


def test_history_files_stay_readable(compressing: Archive) -> None:
    """They are a few lines, which this service and PostgreSQL read as they are."""
    history = compressing.source.with_name("00000002.history")
    history.write_text("1\t0/5000028\tno recovery target specified\n")
    compressing.source, compressing.target = history, compressing.folder / history.name
    assert compressing.call().returncode == 0
    assert [path.name for path in compressing.folder.iterdir()] == [history.name]


@pytest.mark.parametrize("event", ["before_archive", "after_archive"])
def test_a_hook_gets_the_file_and_may_refuse_it(
    installed: Archive, tmp_path: Path, event: Literal["before_archive", "after_archive"]
) -> None:
    """PostgreSQL asks again: nothing is archived before it, and what is archived stays after it."""
    calls = tmp_path / "call's 100%"
    written = hook_script(shlex.join(["tee", "-a", str(calls)]), event, str(tmp_path))
    (tmp_path / event).write_text(written)
    assert installed.call(env={"PATH": os.environ["PATH"], "SECRET": "x"}).returncode == 0
    assert installed.is_archived()
    assert json.loads(calls.read_text()) == {
        "event": event,
        "directory": str(tmp_path),
        "entry": {"name": NAME, "file": NAME},
    }
    installed.target.unlink()
    (tmp_path / event).write_text(hook_script("sh -c 'env >&2; exit 7'", event, str(tmp_path)))
    done = installed.call(env={"PATH": os.environ["PATH"], "SECRET": "x"})
    assert (done.returncode, f"{event} ended with status 7" in done.stderr) == (1, True)
    assert f"TEMPLATE_SERVICE_EVENT={event}" in done.stderr
    assert "SECRET" not in done.stderr
    assert installed.target.exists() is (event == "after_archive")
