"""Verify base backups: every file against the manifest, and the files outside it."""

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from db.cluster.programs import Programs
from db.commands import physical
from db.errors import Kind, OperationError
from db.recovery import catalogue
from db.recovery.catalogue import DATA, ENTRY, MANIFEST, BaseBackup
from db.recovery.object_path import AnyPath
from db.recovery.packed import PACKED, data_directories, manifest_of, packed_file
from db.recovery.policy import RecoveryPolicy
from db.recovery.problems import Problem

CONFIGURATION: Final = "postgresql.auto.conf"
"""The one file of a base backup that PostgreSQL reads at its start and no manifest covers."""
# PostgreSQL does not start without these, and a manifest lists files only.
_DIRECTORIES: Final = (
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_multixact",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_xact",
)
# PostgreSQL starts with 0700 and 0750: postgres' miscinit.c, checkDataDir.
_FORBIDDEN: Final = stat.S_IWGRP | stat.S_IRWXO
# pg_controldata prints strftime's %c, in the locale and time zone of all child programs.
_CONTROL_TIME: Final = "%a %b %d %H:%M:%S %Y"
_NEEDED: Final = stat.S_IRUSR | stat.S_IWUSR
_SHOWN: Final = 5
_PARENT_LSN: Final = re.compile(r"^INCREMENTAL FROM LSN: ([0-9A-F]+/[0-9A-F]+)$", re.MULTILINE)


def unlisted_checksums(data: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that the manifest does not cover, by name."""
    files = [name for name in (CONFIGURATION,) if (data / name).is_file()]
    return {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in files}


def backup_problems(
    programs: Programs,
    policy: RecoveryPolicy,
    backups: Sequence[BaseBackup],
    system: str,
    scratch: Path | None = None,
) -> Iterator[Problem]:
    """Yield the problems of all base backups of a directory.

    Raises OperationError: ``disk_full``: there is no room to unpack one.

    Parameters
    ----------
    system
        The system identifier of the cluster.
    scratch
        Where packed ones are unpacked; by default the system's temporary directory.
    """
    for name in catalogue.unreadable(policy.storage.base):
        yield Problem(Kind.ENTRY_UNREADABLE, name, f"base backup {name} has no readable {ENTRY}")
    by_name = {backup.name: backup for backup in backups}
    for backup in backups:
        try:
            with data_directories(policy, [backup], scratch) as (data,):
                reasons = list(_reasons(programs, policy, data, backup, by_name, system))
        except OperationError as error:
            if error.kind == Kind.DISK_FULL:
                raise
            reasons = [(error.kind, error.message)]
        for kind, reason in reasons:
            yield Problem(kind, backup.name, f"base backup {backup.name}: {reason}")


def _reasons(  # noqa: PLR0913, PLR0917 - the body of backup_problems
    programs: Programs,
    policy: RecoveryPolicy,
    data: Path,
    backup: BaseBackup,
    by_name: Mapping[str, BaseBackup],
    system: str,
) -> Iterator[tuple[str, str]]:
    if backup.system != system:
        yield "backup_foreign", f"it is of cluster {backup.system}, others are of {system}"
    if not data.is_dir():
        yield Kind.BACKUP_DAMAGED, f"its directory {DATA} is missing"
        return
    yield from _parent(data, backup, by_name)
    yield from _directory(data, backup)
    if names := _tablespaces(data):
        # pg_verifybackup would follow the links, wherever they lead.
        yield Kind.TABLESPACES, f"it has tablespaces, which are not supported: {', '.join(names)}"
        return
    try:
        physical.verify(programs, data)
    except OperationError as error:
        yield Kind.BACKUP_DAMAGED, error.message.partition(" is damaged: ")[2] or error.message
        return  # what follows reads the same files
    if _text(manifest_of(policy.storage.base / backup.name)) != _text(data / MANIFEST):
        yield Kind.BACKUP_DAMAGED, f"{MANIFEST} next to {PACKED} differs from the one in it"
    packed = packed_file(policy.storage.base / backup.name)
    size = packed.stat().st_size if packed.exists() else None
    if backup.packed_bytes not in {None, size}:
        yield "entry_differs", f"{ENTRY} has packed_bytes {backup.packed_bytes}, the files {size}"
    yield from _entry(programs, data, backup)


def _parent(
    data: Path, backup: BaseBackup, by_name: Mapping[str, BaseBackup]
) -> Iterator[tuple[str, str]]:
    found = _PARENT_LSN.search(_text(data / "backup_label"))
    if backup.parent is None:
        if found is not None:
            reason = f"it builds on a backup that began at {found[1]}, and {ENTRY} names none"
            yield "parent_differs", reason
        return
    parent = by_name.get(backup.parent)
    if parent is None:
        yield Kind.PARENT_MISSING, f"it builds on {backup.parent}, which is missing"
        return
    if found is None or found[1] != parent.start_lsn:
        begin = "no LSN" if found is None else found[1]
        ours = f"{parent.name} began at {parent.start_lsn}"
        yield "parent_differs", f"it builds on a backup that began at {begin}, {ours}"


def _directory(data: Path, backup: BaseBackup) -> Iterator[tuple[str, str]]:
    """Yield what pg_verifybackup ignores."""
    if (mode := stat.S_IMODE(data.stat().st_mode)) & _FORBIDDEN:
        yield (
            "permissions",
            f"{DATA} has permissions {mode:04o}: PostgreSQL starts with 0700 or 0750 only",
        )
    private = sorted(
        str(path.relative_to(data))
        for path in data.rglob("*")
        if path.lstat().st_mode & _NEEDED != _NEEDED
    )
    if private:
        yield "permissions", f"its owner may not read and write {', '.join(private[:_SHOWN])}"
    missing = [name for name in _DIRECTORIES if not (data / name).is_dir()]
    if missing:
        yield Kind.BACKUP_DAMAGED, f"directories are missing: {', '.join(missing)}"
    for name, wanted in backup.checksums.items():
        found = unlisted_checksums(data).get(name)
        if found != wanted:
            state = "is missing" if found is None else "has another checksum than recorded"
            yield Kind.BACKUP_DAMAGED, f"{name} {state}"
    if (data / "recovery.signal").exists():
        yield Kind.BACKUP_DAMAGED, "recovery.signal is in it, which no base backup of a primary has"


def _tablespaces(data: Path) -> list[str]:
    spaces = data / "pg_tblspc"
    names = sorted(path.name for path in spaces.iterdir()) if spaces.is_dir() else []
    return names + ["tablespace_map"] * (data / "tablespace_map").exists()


def _entry(programs: Programs, data: Path, backup: BaseBackup) -> Iterator[tuple[str, str]]:
    """Yield how the catalog entry differs from the files."""
    try:
        control = physical.control_data(programs, data)
        ranges: list[dict[str, Any]] = json.loads((data / MANIFEST).read_bytes())["WAL-Ranges"]
        label = _text(data / "backup_label")
        size = sum(path.lstat().st_size for path in data.rglob("*") if not path.is_dir())
    except OperationError as error:
        yield Kind.BACKUP_DAMAGED, error.message
        return
    facts: dict[str, tuple[object, object]] = {
        "system": (backup.system, control.get("Database system identifier")),
        "timeline": (backup.timeline, ranges[-1]["Timeline"]),
        "start_lsn": (backup.start_lsn, ranges[0]["Start-LSN"]),
        "stop_lsn": (backup.stop_lsn, ranges[-1]["End-LSN"]),
        "segment_bytes": (str(backup.segment_bytes), control.get("Bytes per WAL segment")),
        "bytes": (backup.bytes, size),
    }
    for name, (recorded, found) in facts.items():
        if recorded != found:
            yield "entry_differs", f"{ENTRY} has {name} {recorded}, the files {found}"
    begun = datetime.strptime(control["Time of latest checkpoint"], _CONTROL_TIME).replace(
        tzinfo=UTC
    )
    if not backup.started_at <= backup.ended_at >= begun:
        moment = backup.ended_at.isoformat()
        yield "entry_differs", f"{ENTRY} has ended_at {moment}, before its checkpoint of {begun}"
    if f"START WAL LOCATION: {backup.start_lsn} " not in label:
        yield "entry_differs", f"{ENTRY} has start_lsn {backup.start_lsn}, backup_label another"


def _text(path: AnyPath) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
