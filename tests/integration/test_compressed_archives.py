"""Compressed WAL and packed base backups, or both kinds of them, work as any others."""

import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Final

import pyrage  # type: ignore[import-untyped]
import pytest

from db.backup.encryption import recipients
from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery import catalogue, commands, transactions
from db.recovery.catalogue import DATA, MANIFEST
from db.recovery.compression import SUFFIX, content_size, wal_file
from db.recovery.packed import PACKED, pack, unpack
from db.recovery.policy import RecoveryPolicy
from db.recovery.sealed import seal
from db.recovery.segments import NAME, Archive
from db.recovery.status import archive_problems, recovery_status
from db.recovery.verify_backups import backup_problems
from db.recovery.verify_wal import wal_problems
from db.zstd import zstd
from tests.support.recovery import History, age_files, flipped, linked, lived, replaced

SIZE = 16 << 20


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give an uncompressed archive with base backups, and records that span two segments."""
    with lived(tmp_path_factory.mktemp("compressed"), compress=False) as history:
        history.server.run(
            "SELECT pg_logical_emit_message(false, 'x', repeat('x', 400000))"
            " FROM generate_series(1, 50)"
        )
        history.server.json("check")
        yield history


@pytest.fixture(scope="module")
def whole(history: History, tmp_path_factory: pytest.TempPathFactory) -> RecoveryPolicy:
    """Give a copy with compressed segments and a packed full base backup."""
    policy = compressed(history, tmp_path_factory.mktemp("whole") / "recovery")
    pack(policy.base / history.full)
    return policy


def compressed(
    history: History, directory: Path, chosen: Callable[[int], bool] = lambda _: True
) -> RecoveryPolicy:
    """Return a copy of archive and base backups, with segments as ``zstd -c`` writes them."""
    policy = history.copy(directory)
    option = zstd.CompressionParameter
    for number, path in enumerate(segments(policy)):
        if chosen(number):
            content = zstd.compress(path.read_bytes(), options={option.checksum_flag: 1})
            path.with_name(f"{path.name}{SUFFIX}").write_bytes(content)
            path.unlink()
    return policy


def segments(policy: RecoveryPolicy) -> list[Path]:
    """Return the files of segments, in order."""
    return sorted(path for path in policy.wal.iterdir() if NAME.fullmatch(wal_file(path.name)))


@pytest.fixture(scope="module")
def encrypted(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RecoveryPolicy, list[object]]:
    """Give a copy with encrypted segments and an encrypted full base backup, and its recipients."""
    directory = tmp_path_factory.mktemp("encrypted")
    policy = replace(history.copy(directory / "recovery"), **age_files(directory))
    keys = recipients(policy.recipients_file)
    for path in segments(policy):
        sealed(path, keys)
    pack(policy.base / history.full, recipients=keys)
    return policy, keys


def sealed(path: Path, keys: Sequence[object]) -> None:
    """Encrypt the file of a segment."""
    name, content = seal(path.name, path.read_bytes(), keys)
    path.unlink()
    path.with_name(name).write_bytes(content)


@pytest.mark.parametrize("every", [1, 2], ids=["all compressed", "mixed"])
def test_a_compressed_archive_is_verified_and_restored(
    history: History, tmp_path: Path, every: int
) -> None:
    """Status, verify and restore say of it what they say of the uncompressed one."""
    policy = compressed(history, tmp_path / "recovery", lambda number: number % every == 0)
    assert any(path.suffix == SUFFIX for path in segments(policy))
    if every > 1:
        keys = age_files(tmp_path)
        policy = replace(policy, identity_file=keys["identity_file"])
        for path in [each for each in segments(policy) if each.suffix != SUFFIX][:-1]:
            sealed(path, recipients(keys["recipients_file"]))
    verified = history.server.json("verify", policy=policy)
    assert (verified["problems"], verified["segments"]) == ([], len(segments(policy)))
    assert archive_problems(policy) == []
    before, after = (
        recovery_status(None, Programs.chosen(), each) for each in (history.server.policy, policy)
    )
    assert (after.reaches, after.problems) == (before.reaches, before.problems)
    assert after.wal_bytes == sum(path.stat().st_size for path in segments(policy))
    into = tmp_path / "data"
    at = history.after.isoformat()
    made = history.server.json("restore", "--to", at, "--into", str(into), policy=policy)
    assert made["proof"]["tables"]["templates"] == 25


def test_records_of_compressed_segments_are_those_of_the_others(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are decompressed at a time: a record that spans two is read once."""
    monkeypatch.setattr(transactions, "_WINDOW", 2)
    policy = compressed(history, tmp_path / "recovery", lambda number: number != 1)
    read = []
    for wal in (history.server.policy.wal, policy.wal):
        archive = Archive.read(wal, SIZE)
        names = sorted(archive.sizes)
        records = transactions.records(Programs.chosen(), archive, names, ())
        read.append([each.lsn for each in records])
    assert len(read[0]) > 100
    assert read[0] == read[1]


def empty(path: Path) -> None:
    """Lose all of it."""
    replaced(path, b"")


def cut_off(path: Path) -> None:
    """Lose the end, as a copy does that was interrupted."""
    replaced(path, path.read_bytes()[:-5])


def damaged_header(path: Path) -> None:
    """Flip a bit of zstd's magic number."""
    flipped(path, 0)


def damaged_block(path: Path) -> None:
    """Flip a bit of compressed data."""
    flipped(path, path.stat().st_size // 2)


def damaged_checksum(path: Path) -> None:
    """Flip a bit of zstd's checksum."""
    flipped(path, path.stat().st_size - 1)


def longer(path: Path) -> None:
    """Append something after its end."""
    replaced(path, path.read_bytes() + b"x")


def other_size(path: Path) -> None:
    """Have a segment that is too long, compressed well."""
    replaced(path, zstd.compress(bytes(SIZE + 1)))


def zeros(path: Path) -> None:
    """Have zeros of the right size, compressed well."""
    replaced(path, zstd.compress(bytes(SIZE)))


OF_ANY_FILE: Final = (
    *(empty, cut_off, damaged_header, damaged_block, damaged_checksum),
    *(longer, zeros, Path.unlink),
)
"""Damages of a compressed file, whatever it holds."""


def neighbour(path: Path) -> None:
    """Have the contents of the segment before it, compressed well."""
    before = segments(RecoveryPolicy(path.parent.parent))[-3]
    replaced(path, before.read_bytes())


def twice(path: Path) -> None:
    """Have it uncompressed as well, with other contents."""
    path.with_name(path.name.removesuffix(SUFFIX)).write_bytes(bytes(SIZE))


@pytest.mark.parametrize(
    "damage",
    [*OF_ANY_FILE, other_size, neighbour, twice],
    ids=lambda damage: damage.__name__,
)
def test_verify_finds_a_damaged_compressed_segment(
    whole: RecoveryPolicy, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """And names it."""
    policy = linked(whole, tmp_path / "recovery")
    path = segments(policy)[-2]
    damage(path)
    name = path.name.removesuffix(SUFFIX)
    backups = catalogue.read(policy.base)
    archive = Archive.read(policy.wal, SIZE, backups[0].system)
    problems = list(wal_problems(Programs.chosen(), archive, backups))
    assert name in {problem.name.removesuffix(SUFFIX) for problem in problems}, problems


def other_content(path: Path, keys: Sequence[object]) -> None:
    """Have the segment before it, encrypted well, under its name and with its size."""
    before = segments(RecoveryPolicy(path.parent.parent))[-3]
    name, _, _ = path.name.split("-")
    content = before.read_bytes()
    path.unlink()
    path.with_name(f"{name}-{'0' * 64}-{len(content)}.zst.age").write_bytes(content)


def unencrypted(path: Path, keys: Sequence[object]) -> None:
    """Have a segment of zeros next to it, as archive.sh stores it."""
    path.with_name(f"{wal_file(path.name)}{SUFFIX}").write_bytes(zstd.compress(bytes(SIZE)))


def rewritten(path: Path, keys: Sequence[object]) -> None:
    """Have another one of its name, encrypted well."""
    name, content = seal(wal_file(path.name), bytes(SIZE), keys)
    path.unlink()
    path.with_name(name).write_bytes(content)


def other_key(path: Path, keys: Sequence[object]) -> None:
    """Have a segment that is encrypted for others."""
    rewritten(path, [pyrage.x25519.Identity.generate().to_public()])


def doubled(path: Path, keys: Sequence[object]) -> None:
    """Have another one of its name next to it."""
    name, content = seal(wal_file(path.name), b"1" * SIZE, keys)
    path.with_name(name).write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [cut_off, damaged_block, other_content, unencrypted, rewritten, other_key, doubled],
    ids=lambda damage: damage.__name__,
)
def test_verify_finds_a_damaged_encrypted_segment(
    encrypted: tuple[RecoveryPolicy, list[object]], tmp_path: Path, damage: Callable[..., None]
) -> None:
    """And names it; one that is not complete is a problem without the key, too."""
    whole, keys = encrypted
    policy = replace(linked(whole, tmp_path / "recovery"), identity_file=whole.identity_file)
    path = segments(policy)[-2]
    name = wal_file(path.name)
    damage(path, keys) if len(signature(damage).parameters) > 1 else damage(path)
    backups = catalogue.read(policy.base)
    archive = Archive.of(policy, SIZE, backups[0].system)
    problems = list(wal_problems(Programs.chosen(), archive, backups))
    assert name in {wal_file(problem.name) for problem in problems}, problems
    without = replace(policy, identity_file="")
    assert bool(archive_problems(without)) == (damage is cut_off)


@pytest.mark.parametrize("damage", [None, damaged_block])
def test_verify_finds_a_damaged_encrypted_base_backup(
    history: History,
    encrypted: tuple[RecoveryPolicy, list[object]],
    tmp_path: Path,
    damage: Callable[[Path], None] | None,
) -> None:
    """Nothing stays of what was unpacked; a whole one has no problem."""
    whole, _ = encrypted
    policy = replace(linked(whole, tmp_path / "recovery"), identity_file=whole.identity_file)
    (full,) = (each for each in catalogue.read(policy.base) if each.name == history.full)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if damage is not None:
        damage(policy.base / history.full / f"{PACKED}.age")
    problems = list(backup_problems(Programs.chosen(), policy, [full], full.system, scratch))
    assert {problem.name for problem in problems} == (set() if damage is None else {history.full})
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "data", [bytes(SIZE), secrets.token_bytes(SIZE), b"x"], ids=["zeros", "random", "short"]
)
@pytest.mark.parametrize("checksum", [0, 1])
def test_the_size_of_a_compressed_segment_is_that_of_a_whole_frame(
    tmp_path: Path, data: bytes, checksum: int
) -> None:
    """`pitr status` promises nothing after a segment that a copy has cut off."""
    path = tmp_path / f"000000010000000000000001{SUFFIX}"
    whole = zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: checksum})
    path.write_bytes(whole)
    assert content_size(path) == len(data)
    for wrong in (whole[:-1], whole[: len(whole) // 2], whole + b"x"):
        path.write_bytes(wrong)
        assert content_size(path) == len(wrong)


def test_a_restore_does_not_end_early_at_a_damaged_compressed_segment(
    history: History, whole: RecoveryPolicy, tmp_path: Path
) -> None:
    """The state before it is not passed off as the newest."""
    policy = linked(whole, tmp_path / "recovery")
    damaged_block(segments(policy)[-2])
    into = tmp_path / "data"
    done = history.server.call("restore", "--latest", "--into", str(into), policy=policy)
    assert done.exit_code == 1
    for log in re.findall(r"log is in (\S+\.log)", done.stderr):
        Path(log).unlink()
    assert not into.exists()


@pytest.mark.parametrize("has_zstd", [True, False])
def test_the_restore_command_reads_both_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_zstd: bool
) -> None:
    """Without zstd it is Python that decompresses; what is not there or damaged is not restored."""
    if not has_zstd:
        monkeypatch.setattr("db.recovery.commands.shutil.which", lambda *_, **__: None)
    elif shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    policy = RecoveryPolicy(tmp_path / "100% of the archive's")
    wal = policy.wal
    wal.mkdir(parents=True)
    (wal / "plain").write_bytes(b"a")
    (wal / f"small{SUFFIX}").write_bytes(zstd.compress(b"b"))
    (wal / f"damaged{SUFFIX}").write_bytes(zstd.compress(b"b" * 9)[:-1])

    def restored(name: str) -> bytes | None:
        target = tmp_path / "RECOVERYXLOG"
        target.write_bytes(b"of before")
        command = commands.restore_command(policy).replace("%f", name).replace("%p", target.name)
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace("%%", "%")],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode < 126
        return target.read_bytes() if done.returncode == 0 else None

    names = ("plain", "small", "damaged", "missing")
    assert [restored(name) for name in names] == [b"a", b"b", None, None]


def no_manifest(packed: Path) -> None:
    """Lose the copy of the manifest."""
    packed.with_name(MANIFEST).unlink()


def other_manifest(packed: Path) -> None:
    """Damage the copy of the manifest."""
    flipped(packed.with_name(MANIFEST), 10)


def repacked(packed: Path) -> None:
    """Damage a file of the data directory, and pack it well."""
    data = packed.with_name(DATA)
    unpack(packed, data)
    flipped(data / "backup_label", 5)
    for path in (packed, packed.with_name(MANIFEST)):  # hard links
        path.unlink()
    pack(packed.parent)


@pytest.mark.parametrize(
    "damage",
    [*OF_ANY_FILE, no_manifest, other_manifest, repacked],
    ids=lambda damage: damage.__name__,
)
def test_verify_finds_a_damaged_packed_base_backup(
    history: History, whole: RecoveryPolicy, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Before the damage it has no problem; unpacked files are removed."""
    policy = linked(whole, tmp_path / "recovery")
    folder = policy.base / history.full
    (full,) = (each for each in catalogue.read(policy.base) if each.name == history.full)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if damage is empty:
        assert list(backup_problems(Programs.chosen(), policy, [full], full.system, scratch)) == []
    damage(folder / PACKED)
    problems = list(backup_problems(Programs.chosen(), policy, [full], full.system, scratch))
    assert {problem.name for problem in problems} == {history.full}, problems
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("damage", [None, damaged_block])
def test_a_restore_reads_packed_and_other_base_backups(
    history: History, tmp_path: Path, damage: Callable[[Path], None] | None
) -> None:
    """An incremental one of today on a full one from before; a damaged one is refused."""
    policy = history.copy(tmp_path / "recovery")
    packed = policy.base / history.incremental
    pack(packed)
    into = tmp_path / "into" / "data"
    into.parent.mkdir()
    arguments = ("restore", "--to", history.after.isoformat(), "--into", str(into))
    if damage is None:
        made = history.server.json(*arguments, policy=policy)
        assert made["base"] == [history.full, history.incremental]
        assert made["proof"]["tables"]["templates"] == 25
    else:
        damage(packed / PACKED)
        done = history.server.call(*arguments, policy=policy)
        assert (done.exit_code, "is damaged" in done.stderr) == (1, True)
    assert list(into.parent.iterdir()) == [into] * (damage is None)


def test_no_file_of_a_packed_base_backup_is_written_elsewhere(tmp_path: Path) -> None:
    """Whoever can write to the archive directory writes nowhere else by that."""
    for name, kind in (("../out", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
        packed = tmp_path / PACKED
        with zstd.open(packed, "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/"
            tar.addfile(member)
        with pytest.raises(OperationError, match="is not a file of a data directory"):
            unpack(packed, tmp_path / "data")
        (tmp_path / "data").rmdir()
    assert list(tmp_path.iterdir()) == [packed]
