"""Verify archived WAL: every segment, every record, and that nothing between them is missing."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from db.cluster.programs import Programs
from db.commands.physical import WalRecord
from db.errors import OperationError
from db.recovery.catalogue import BaseBackup
from db.recovery.compression import wal_file
from db.recovery.object_path import listed
from db.recovery.pages import lsn_text, page_problem, rest_problem
from db.recovery.problems import Problem
from db.recovery.sealed import Sealed
from db.recovery.segments import (
    HISTORY_FILE,
    NAME,
    Archive,
    history_problem,
    leads_to,
    parsed_lsn,
    route,
    segment_name,
    segment_number,
    system_of,
    wanted,
)
from db.recovery.transactions import records

# What PostgreSQL archives besides: the label of a base backup, and the last segment of a timeline.
_OTHERS: Final = re.compile(r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup|\.partial)", re.ASCII)
# Of db.backup.store, for the archive program.
_DRAFT: Final = re.compile(r".*\.[0-9a-f]{8}\.partial", re.ASCII)
_LSN: Final = re.compile(r"[0-9A-F]+/[0-9A-F]+", re.ASCII)
_REPORTED: Final = re.compile(r"error: (?:error in WAL record at [0-9A-F]+/[0-9A-F]+: )?(.*)")
_SWITCH: Final = "SWITCH"


def wal_problems(
    programs: Programs, archive: Archive, backups: Sequence[BaseBackup]
) -> Iterator[Problem]:
    """Yield the problems of an archive: files, timelines, gaps, segments, records.

    Parameters
    ----------
    backups
        Base backups: what is older than the first of them is not needed.
    """
    yield from _unexpected(archive)
    for name, sentence in sorted(archive.strangers.items()):
        yield Problem("segment_foreign", name, sentence)
    yield from _timelines(archive)
    yield from _gaps(archive, backups)
    good: list[str] = []
    for name in sorted(archive.sizes):
        if (problem := segment_problem(archive, name)) is None:
            good.append(name)
        else:
            yield problem
    for run in _runs(archive, good):
        yield from _records(programs, archive, run)


def _unexpected(archive: Archive) -> Iterator[Problem]:
    files = listed(archive.folder)
    names = {path.name for path in files}
    for path in files:
        name = path.name
        if name.startswith(".") or _DRAFT.fullmatch(name):  # a segment on its way
            continue
        segment = wal_file(name)
        if segment != name and (Sealed.parse(name) or NAME.fullmatch(segment)):
            if segment in names:
                yield Problem(
                    "unexpected_file", name, f"segment {segment} exists twice, once compressed"
                )
            elif NAME.fullmatch(segment) and _differs(name, archive.path(segment).name):
                yield Problem(
                    "unexpected_file",
                    name,
                    f"segment {segment} exists twice, also as {archive.path(segment).name}",
                )
        elif not any(pattern.fullmatch(name) for pattern in (NAME, HISTORY_FILE, _OTHERS)):
            yield Problem("unexpected_file", name, f"{name} is not a file of WAL")
        elif not path.is_file():
            yield Problem("unexpected_file", name, f"{name} is not a file")


def _differs(name: str, other: str) -> bool:
    """Return whether two files of a segment may have different contents."""
    first, second = Sealed.parse(name), Sealed.parse(other)
    return name != other and (first is None or second is None or first.sha256 != second.sha256)


def _timelines(archive: Archive) -> Iterator[Problem]:
    for number in archive.timelines:
        if number > 1 and number not in archive.history:
            file = f"{number:08X}.history"
            yield Problem(
                "history_missing", file, f"{file} is missing, and timeline {number} has segments"
            )
    for number in sorted(archive.history):
        if (reason := history_problem(archive, number)) is not None:
            file = f"{number:08X}.history"
            yield Problem("history_damaged", file, f"{file} {reason}")


def _gaps(archive: Archive, backups: Sequence[BaseBackup]) -> Iterator[Problem]:
    """Yield each gap on the way from a base backup to the end of each timeline."""
    missing: set[str] = set()
    for timeline in {*archive.timelines, *archive.history}:
        for backup in backups:
            if leads_to(archive.history, backup.timeline, backup.stop, timeline):
                way = route(
                    archive.history, backup.timeline, backup.stop, timeline, archive.segment_bytes
                )
                missing.update(wanted(archive, way))
    missing -= {*archive.sizes, *archive.strangers}
    for run in _runs(archive, sorted(missing)):
        one = f"segment {run[0]} is missing"
        several = f"segments {run[0]} to {run[-1]} are missing ({len(run)})"
        yield Problem("segment_missing", run[0], one if len(run) == 1 else several)


def segment_problem(archive: Archive, name: str) -> Problem | None:
    """Return what names, sizes and pages show of a segment: its records are not read."""
    if (reason := archive.size_problem(name)) is not None:
        return Problem("segment_size", name, reason)
    timeline = int(name[:8], 16)
    known = {timeline, *(ancestor for ancestor, _ in archive.history.get(timeline, ()))}
    start = segment_number(name, archive.segment_bytes) * archive.segment_bytes
    try:
        content = archive.content(name)
        reason = page_problem(content, start, archive.segment_bytes, known)
    except OperationError as error:
        return Problem("segment_damaged", name, error.message)
    except OSError as error:
        return Problem("unreadable", name, f"segment {name} cannot be read: {error.strerror}")
    if archive.system not in {None, owner := system_of(content)} and reason is None:
        return Problem("segment_foreign", name, f"segment {name} is of another cluster ({owner})")
    return None if reason is None else Problem("segment_damaged", name, f"segment {name} {reason}")


def _runs(archive: Archive, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield consecutive segments of one timeline; ``names`` are in order."""

    def place(each: tuple[int, str]) -> tuple[str, int]:
        index, name = each
        return name[:8], segment_number(name, archive.segment_bytes) - index

    for _, group in groupby(enumerate(names), key=place):
        yield [name for _, name in group]


def _records(programs: Programs, archive: Archive, run: list[str]) -> Iterator[Problem]:
    """Yield the damaged records of consecutive segments, the first of each segment."""
    size, first = archive.segment_bytes, 0
    switches: dict[str, int] = {}
    while first < len(run):
        part = run[first:]
        try:
            for record in records(programs, archive, part, ["XLOG"]):
                _note_switch(record, part[0][:8], size, switches)
            break
        except OperationError as error:
            place = _LSN.findall(error.message)
            number = parsed_lsn(place[-1]) // size if place else segment_number(part[0], size)
            name = segment_name(int(part[0][:8], 16), number, size)
            index = run.index(name) if name in part else first
            reported = _REPORTED.findall(error.message)
            reason = reported[-1] if reported else error.message
            yield Problem(
                "segment_damaged", run[index], f"segment {run[index]} is damaged: {reason}"
            )
            first = index + 1
    for name, lsn in switches.items():
        reason = rest_problem(archive.content(name), lsn // size * size, lsn)
        if reason is not None:
            yield Problem("segment_damaged", name, f"segment {name} {reason} at {lsn_text(lsn)}")


def _note_switch(record: WalRecord, timeline: str, size: int, switches: dict[str, int]) -> None:
    if record.description.startswith(_SWITCH):
        lsn = parsed_lsn(record.lsn)
        switches[segment_name(int(timeline, 16), lsn // size, size)] = lsn
