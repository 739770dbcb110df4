"""Every kind of damage to archive and base backups that ``pitr verify`` must find."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.cluster.programs import Programs
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import NAME, segment_name
from db.recovery.verify import verify_recovery
from tests.support.recovery import History, flipped, lived, replaced

Damage = Callable[["Victim"], None]
SIZE = 16 << 20


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give an archive on which something has happened, and base backups."""
    with lived(tmp_path_factory.mktemp("damage"), compress=False) as history:
        history.server.json("figures")
        yield history


class Victim:
    """A copy of archive and base backups that may be damaged."""

    def __init__(self, history: History, policy: RecoveryPolicy) -> None:
        self.wal = policy.wal
        self.directory = policy.directory
        self.segments = sorted(path for path in self.wal.iterdir() if NAME.fullmatch(path.name))
        self.full = policy.base / history.full
        self.incremental = policy.base / history.incremental
        self.data = self.full / "data"
        (self.figures,) = (policy.directory / "figures").iterdir()

    @property
    def middle(self) -> Path:
        """A segment that others follow."""
        return self.segments[-2]

    def segment(self, change: Callable[[bytearray], None], path: Path | None = None) -> None:
        """Change the content of a segment."""
        path = path or self.middle
        content = bytearray(path.read_bytes())
        change(content)
        replaced(path, bytes(content))

    def entry(self, backup: Path | None = None, **values: object) -> None:
        """Change the catalog entry of a backup, by default of the full one."""
        path = (backup or self.full) / "backup.json"
        replaced(path, json.dumps(json.loads(path.read_text()) | values).encode())


def zero_page(content: bytearray) -> None:
    """Lose a page, as a file system does after a crash."""
    content[0:8192] = bytes(8192)


def foreign(content: bytearray) -> None:
    """Make it the segment of another cluster."""
    content[24:32] = (7).to_bytes(8, "little")


def other_timeline(content: bytearray) -> None:
    """Make its first page one of another timeline."""
    content[4] = 9


def bad_record(content: bytearray) -> None:
    """Flip a bit of a record: its checksum tells."""
    content[100] ^= 1


def after_the_end(content: bytearray) -> None:
    """Write something into the unused rest."""
    content[-5000] = 1


def no_header(content: bytearray) -> None:
    """Destroy the beginning."""
    content[0:16] = bytes(16)


def other_sizes(content: bytearray) -> None:
    """Name another size of segments."""
    content[32:36] = (64 << 20).to_bytes(4, "little")


def instead(path: Path) -> Path:
    """Remove a file; return its path, for something else."""
    path.unlink()
    return path


def unreadable(path: Path) -> None:
    """Take all permissions from a file, and leave those alone that are hard links to it."""
    replaced(path, path.read_bytes())
    path.chmod(0)


def copied(source: Path, target: Path) -> None:
    """Put a copy of a file somewhere else."""
    replaced(target, source.read_bytes()) if target.exists() else shutil.copyfile(source, target)


def moved(victim: Victim, timeline: int) -> None:
    """Give the last segment the name of another timeline."""
    last = victim.segments[-1]
    last.rename(last.with_name(f"{timeline:08X}{last.name[8:]}"))


def history_file(victim: Victim, content: bytes) -> None:
    """Write the history of timeline 2."""
    (victim.wal / "00000002.history").write_bytes(content)


def begun(victim: Victim, content: bytes) -> None:
    """Have a timeline 2, with the last segment, and with this history."""
    moved(victim, 2)
    history_file(victim, content)


def data(victim: Victim, name: str) -> Path:
    """Return a file of the full backup."""
    return victim.data / name


DAMAGES: dict[str, tuple[Damage, str]] = {
    # segments
    "missing segment": (lambda v: v.middle.unlink(), "segment_missing"),
    "missing first segment": (lambda v: v.segments[1].unlink(), "segment_missing"),
    "empty segment": (lambda v: replaced(v.middle, b""), "segment_size"),
    "truncated segment": (lambda v: replaced(v.middle, bytes(8192)), "segment_size"),
    "segment too long": (
        lambda v: replaced(v.middle, v.middle.read_bytes() + b"\0"),
        "segment_size",
    ),
    "segment of zeros": (lambda v: replaced(v.middle, bytes(SIZE)), "segment_damaged"),
    "page of zeros": (lambda v: v.segment(zero_page), "segment_damaged"),
    "no header": (lambda v: v.segment(no_header), "segment_damaged"),
    "header with another size": (lambda v: v.segment(other_sizes), "segment_damaged"),
    "flipped bit in a record": (lambda v: v.segment(bad_record), "segment_damaged"),
    "flipped bit in the last": (
        lambda v: v.segment(bad_record, v.segments[-1]),
        "segment_damaged",
    ),
    "data after the end": (lambda v: v.segment(after_the_end), "segment_damaged"),
    "garbage": (
        lambda v: replaced(v.middle, b"template service" * (SIZE // 16)),
        "segment_damaged",
    ),
    "content of another segment": (
        lambda v: copied(v.segments[-1], v.middle),
        "segment_damaged",
    ),
    "segment under a second name": (
        lambda v: copied(v.middle, v.wal / segment_name(1, 0x99, SIZE)),
        "segment_damaged",
    ),
    "page of another timeline": (lambda v: v.segment(other_timeline), "segment_damaged"),
    "segment of another cluster": (lambda v: v.segment(foreign), "segment_foreign"),
    "directory in place of a segment": (
        lambda v: instead(v.middle).mkdir(),
        "unexpected_file",
    ),
    "dangling link": (
        lambda v: instead(v.middle).symlink_to("nowhere"),
        "segment_missing",
    ),
    "file with a wrong name": (
        lambda v: copied(v.middle, v.wal / f"{v.middle.name} (1)"),
        "unexpected_file",
    ),
    # timelines
    "missing history": (lambda v: moved(v, 2), "history_missing"),
    "empty history": (lambda v: begun(v, b""), "history_damaged"),
    "history of zeros": (lambda v: begun(v, bytes(64)), "history_damaged"),
    "history in no order": (
        lambda v: begun(v, b"1\t0/7000028\tx\n1\t0/5000028\tx\n"),
        "history_damaged",
    ),
    "history of itself": (lambda v: begun(v, b"2\t0/7000028\tx\n"), "history_damaged"),
    "history that begins too late": (
        lambda v: begun(v, b"1\t9/7000028\tx\n"),
        "history_damaged",
    ),
    "history of another cluster": (
        lambda v: history_file(v, b"1\t9/7000028\tx\n"),
        "history_damaged",
    ),
    # base backups
    "flipped bit in a table": (lambda v: flipped(data(v, "base/1/1259"), 5000), "backup_damaged"),
    "truncated table": (
        lambda v: replaced(data(v, "base/1/1259"), data(v, "base/1/1259").read_bytes()[:-8192]),
        "backup_damaged",
    ),
    "missing table": (lambda v: data(v, "base/1/1259").unlink(), "backup_damaged"),
    "table of zeros": (
        lambda v: replaced(data(v, "base/1/1259"), bytes(data(v, "base/1/1259").stat().st_size)),
        "backup_damaged",
    ),
    "additional file": (lambda v: data(v, "base/1/99999").touch(), "backup_damaged"),
    "flipped bit in the manifest": (
        lambda v: flipped(data(v, "backup_manifest"), 5000),
        "backup_damaged",
    ),
    "missing manifest": (lambda v: data(v, "backup_manifest").unlink(), "backup_damaged"),
    "missing label": (lambda v: data(v, "backup_label").unlink(), "backup_damaged"),
    "changed label": (lambda v: flipped(data(v, "backup_label"), 25), "backup_damaged"),
    "missing control file": (lambda v: data(v, "global/pg_control").unlink(), "backup_damaged"),
    "damaged WAL of the backup": (
        lambda v: flipped(next(p for p in data(v, "pg_wal").iterdir() if p.is_file()), 100),
        "backup_damaged",
    ),
    "missing WAL of the backup": (
        lambda v: next(p for p in data(v, "pg_wal").iterdir() if p.is_file()).unlink(),
        "backup_damaged",
    ),
    "missing directory": (lambda v: data(v, "pg_notify").rmdir(), "backup_damaged"),
    "missing data": (lambda v: shutil.rmtree(v.data), "backup_damaged"),
    "changed configuration": (
        lambda v: replaced(data(v, "postgresql.auto.conf"), b"port = 'no number'\n"),
        "backup_damaged",
    ),
    "missing configuration": (
        lambda v: data(v, "postgresql.auto.conf").unlink(),
        "backup_damaged",
    ),
    "tablespace": (lambda v: data(v, "pg_tblspc/16400").symlink_to("/"), "tablespaces"),
    "permissions of the data": (lambda v: v.data.chmod(0o755), "permissions"),
    "signal of a recovery": (lambda v: data(v, "recovery.signal").touch(), "backup_damaged"),
    "flipped bit in the incremental one": (
        lambda v: flipped(v.incremental / "data/global/pg_control", 40),
        "backup_damaged",
    ),
    "missing parent": (lambda v: shutil.rmtree(v.full), "parent_missing"),
    "another parent": (lambda v: v.entry(start_lsn="0/3000099"), "parent_differs"),
    "file that its owner may not read": (
        lambda v: unreadable(data(v, "base/1/1259")),
        "permissions",
    ),
    # the catalog
    "incremental one without a parent": (
        lambda v: v.entry(v.incremental, parent=None),
        "parent_differs",
    ),
    "entry that ends before its checkpoint": (
        lambda v: v.entry(started_at="2020-01-01T00:00:00Z", ended_at="2020-01-01T00:00:01Z"),
        "entry_differs",
    ),
    "entry that ends before it begins": (
        lambda v: v.entry(started_at="2120-01-01T00:00:00Z"),
        "entry_differs",
    ),
    "entry with another size of the file": (lambda v: v.entry(packed_bytes=7), "entry_differs"),
    "damaged figures": (lambda v: replaced(v.figures, b"{"), "figures_unreadable"),
    "missing entry": (lambda v: (v.full / "backup.json").unlink(), "entry_unreadable"),
    "damaged entry": (
        lambda v: replaced(v.full / "backup.json", b'{"name": '),
        "entry_unreadable",
    ),
    "entry with no LSN": (lambda v: v.entry(stop_lsn="end"), "entry_unreadable"),
    "entry without segments": (lambda v: v.entry(segment_bytes=0), "entry_unreadable"),
    "entry without a time zone": (
        lambda v: v.entry(started_at="2026-01-01T00:00:00"),
        "entry_unreadable",
    ),
    "entry that builds on itself": (lambda v: v.entry(parent=v.full.name), "parent_differs"),
    "entry with another end": (lambda v: v.entry(stop_lsn="0/3000100"), "entry_differs"),
    "entry with another timeline": (lambda v: v.entry(timeline=3), "entry_differs"),
    "entry with another size": (lambda v: v.entry(bytes=7), "entry_differs"),
    "backup of another cluster": (lambda v: v.entry(system="7"), "backup_foreign"),
    "renamed backup": (
        lambda v: (v.full.rename(v.full.with_name("20200101T000000.000000Z")), None)[1],
        "entry_unreadable",
    ),
    "missing mark": (lambda v: (v.directory / "system").unlink(), "mark"),
    "mark of another cluster": (
        lambda v: replaced(v.directory / "system", b"7\n"),
        "segment_foreign",
    ),
    "damaged mark": (lambda v: replaced(v.directory / "system", b"\0\0"), "mark"),
}


_OF_WAL = ("segment", "history", "unexpected")
WAL = [name for name, (_, kind) in DAMAGES.items() if kind.startswith(_OF_WAL)]


@pytest.mark.parametrize("name", DAMAGES)
def test_verify_finds_damage(history: History, tmp_path: Path, name: str) -> None:
    """It says which kind, of which file; the undamaged copy had no problem.

    Base backups are not read again for each damage to the archive, nor the other way round.
    """
    policy = history.copy(tmp_path / "recovery")
    damage, kind = DAMAGES[name]
    victim = Victim(history, policy)
    damage(victim)
    if name in WAL:
        shutil.rmtree(victim.incremental)
        shutil.rmtree(victim.data)
    elif kind != "mark":
        for segment in victim.segments[1:]:
            segment.unlink()
    problems = verify_recovery(Programs.chosen(), policy).problems
    assert kind in {problem.kind for problem in problems}, problems
    assert all(problem.name in problem.message for problem in problems)


def test_verify_accepts_an_undamaged_archive(history: History) -> None:
    """And says how much it has read."""
    verified = history.server.json("verify")
    assert verified["problems"] == []
    assert verified["segments"] == len(Victim(history, history.server.policy).segments) > 3
    assert (verified["segment_bytes"], verified["base_backups"]) == (verified["segments"] * SIZE, 2)


def test_a_gap_at_the_end_is_reported(history: History, tmp_path: Path) -> None:
    """The names of the other segments do not show it, but the server knows what it has archived."""
    last = history.server.json("check")["segment"]
    lost = f"segment {last} was archived by the server and is missing"
    path = history.server.policy.wal / last
    path.rename(tmp_path / last)
    try:
        for command in (("pitr", "status"), ("db", "doctor")):
            done = history.server.run_command(*command, "--json")
            assert (done.exit_code, lost in done.stdout) == (1, True)
    finally:
        (tmp_path / last).rename(path)
    assert lost not in history.server.call("status").stdout


def test_check_pushes_a_segment_and_finds_it(history: History) -> None:
    """With the mark that it has written into it."""
    checked = history.server.json("check")
    assert (history.server.policy.wal / checked["segment"]).exists()
    assert "arrived in" in history.server.call("check").stdout
