"""The archive program: compressed, encrypted, several at a time, and never two of a name."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest

from db.cluster.children import Rights
from db.errors import OperationError
from db.recovery.commands import PROGRAM, archive_program, require_credentials, restore_command
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive
from db.recovery.setup import install
from tests.support.recovery import age_files

SIZE = 1 << 20


def name(number: int) -> str:
    """Return a segment's name."""
    return f"00000001{number:016X}"


class Primary:
    """A directory with WAL that waits, and an archive."""

    def __init__(self, folder: Path, **options: Any) -> None:  # noqa: ANN401 - the policy's
        self.policy = RecoveryPolicy(folder / "the archive's", **age_files(folder), **options)
        self.folder = folder / "data"
        self.wal = self.folder / "pg_wal"
        (self.wal / "archive_status").mkdir(parents=True)
        install(self.policy, Rights(), "1")

    def segment(self, number: int, content: bytes = b"") -> None:
        """Have a segment wait."""
        (self.wal / name(number)).write_bytes(content.ljust(SIZE, bytes([number])))
        (self.wal / "archive_status" / f"{name(number)}.ready").touch()

    def archive(self, file: str) -> subprocess.CompletedProcess[str]:
        """Do what PostgreSQL does with a file that waits."""
        done = subprocess.run(
            [
                "sh",
                self.policy.directory / "archive.sh",
                f"pg_wal/{file}",
                self.policy.wal / file,
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            (self.wal / "archive_status" / f"{file}.ready").unlink(missing_ok=True)
        return done

    def stored(self) -> list[str]:
        """Return the names of the stored files of the archive."""
        return sorted(
            path.name for path in self.policy.wal.iterdir() if not path.name.startswith(".")
        )

    def contents(self, number: int) -> bytes:
        """Return what a recovery would read."""
        return Archive.of(self.policy, SIZE).content(name(number))


@pytest.fixture
def primary(tmp_path: Path) -> Primary:
    """Give one that stores three at a time."""
    return Primary(tmp_path, archive_jobs=3)


def test_segments_that_wait_are_stored_ahead_and_acknowledged(primary: Primary) -> None:
    """Without the program then, and two for each job; one that has changed meanwhile is not."""
    for number in range(1, 9):
        primary.segment(number)
    assert primary.archive(name(1)).returncode == 0
    assert [each[:24] for each in primary.stored()] == [name(number) for number in range(1, 7)]
    assert all(each.endswith(".zst.age") for each in primary.stored())
    program = primary.policy.directory / PROGRAM
    program.rename(program.with_name("away"))
    program.write_text("exit 1\n")
    assert primary.archive(name(2)).returncode == 0
    primary.segment(3, b"of another history")
    assert primary.archive(name(3)).returncode == 1
    program.with_name("away").replace(program)
    refused = primary.archive(name(3))
    assert (refused.returncode, "is never replaced" in refused.stderr) == (1, True)
    assert primary.contents(3) == bytes([3]) * SIZE
    assert primary.archive(name(4)).returncode == 0
    assert not list(primary.policy.wal.glob(".*4.ok"))


def test_nothing_is_acknowledged_that_is_not_stored(primary: Primary) -> None:
    """A segment that cannot be stored is a failure when PostgreSQL asks for it, not before."""
    for number in range(1, 4):
        primary.segment(number)
    (primary.wal / name(2)).unlink()
    assert primary.archive(name(1)).returncode == 0
    assert [each[:24] for each in primary.stored()] == [name(1), name(3)]
    assert not (primary.policy.wal / f".{name(2)}.ok").exists()
    assert primary.archive(name(2)).returncode == 1
    shutil.rmtree(primary.policy.wal)
    (primary.policy.wal).touch()
    assert primary.archive(name(3)).returncode == 1


def test_the_same_segment_is_stored_once(primary: Primary) -> None:
    """By a second archiver, and after a crash; also where it was stored unencrypted before."""
    primary.segment(1)
    (primary.policy.wal / name(7)).write_bytes(b"7" * SIZE)
    for _ in range(2):
        assert primary.archive(name(1)).returncode == 0
    primary.segment(7, b"7" * SIZE)
    assert primary.archive(name(7)).returncode == 0
    primary.segment(7)
    assert primary.archive(name(7)).returncode == 1
    assert [each[24:][:1] for each in primary.stored()] == ["-", ""]


def test_other_files_of_wal_are_stored(primary: Primary) -> None:
    """The end of a timeline holds data; a history file and a label do not."""
    for file in (f"{name(1)}.partial", "00000002.history", f"{name(1)}.00000028.backup"):
        (primary.wal / file).write_bytes(b"x")
        assert primary.archive(file).returncode == 0
        (primary.wal / file).write_bytes(b"y")
        assert primary.archive(file).returncode == 1
    history, label, partial = sorted(primary.stored(), key=len)
    assert (history, label) == ("00000002.history", f"{name(1)}.00000028.backup")
    assert partial.startswith(f"{name(1)}.partial-")


@pytest.mark.parametrize("damage", ["key", "recipients", "target"])
def test_what_cannot_be_encrypted_is_not_archived(
    primary: Primary, tmp_path: Path, damage: str
) -> None:
    """Nor stored unencrypted."""
    primary.segment(1)
    if damage == "target":
        primary.policy.wal.rename(tmp_path / "away")
        primary.policy.wal.touch()
    else:
        Path(primary.policy.recipients_file).write_text(damage if damage == "key" else "")
    done = primary.archive(name(1))
    assert (done.returncode, "was not archived" in done.stderr) == (1, True)
    assert damage == "target" or primary.stored() == []


def test_a_recovery_without_its_credentials_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server gets no variables; one with a role of its machine needs none."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    policy = RecoveryPolicy(target="s3://bucket/prefix")
    require_credentials(policy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    require_credentials(replace(policy, credentials_file="/etc/credentials"))
    with pytest.raises(OperationError, match="CREDENTIALS_FILE"):
        require_credentials(policy)


def test_the_restore_command_decrypts(primary: Primary, tmp_path: Path) -> None:
    """What is not there, damaged or for another key is not restored; no key is in a command."""
    for number in (1, 2):
        primary.segment(number)
        assert primary.archive(name(number)).returncode == 0
    secret = Path(primary.policy.identity_file).read_text()
    command = restore_command(primary.policy)
    assert secret not in command + str(archive_program(primary.policy))
    target = tmp_path / "RECOVERYXLOG"

    def restored(number: int) -> bytes | None:
        text = command.replace("%f", name(number)).replace("%p", target.name)
        done = subprocess.run(
            ["sh", "-c", text.replace("%%", "%")], cwd=tmp_path, check=False, capture_output=True
        )
        assert done.returncode < 126
        return target.read_bytes() if done.returncode == 0 else None

    (damaged,) = primary.policy.wal.glob(f"{name(2)}*")
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert [restored(number) for number in (1, 2, 3)] == [bytes([1]) * SIZE, None, None]
    Path(primary.policy.identity_file).write_text(str(pyrage.x25519.Identity.generate()))
    assert restored(1) is None
