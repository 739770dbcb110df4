"""Names of WAL segments, timelines, and the segments that a recovery needs.

https://www.postgresql.org/docs/current/wal-internals.html: a segment's name is its timeline and
its position, in hexadecimal digits. A timeline begins where a recovery ended; its history file
names its ancestors and the LSN where each was left.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard

from db.errors import Kind
from db.recovery.compression import SUFFIX, beginning, content, content_size, wal_file
from db.recovery.object_path import AnyPath, ObjectPath, listed
from db.recovery.policy import RecoveryPolicy
from db.recovery.sealed import Sealed

NAME: Final = re.compile(r"[0-9A-F]{24}", re.ASCII)
HISTORY_FILE: Final = re.compile(r"([0-9A-F]{8})\.history", re.ASCII)
_HISTORY_LINE: Final = re.compile(r"\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)", re.ASCII)
# XLogLongPageHeaderData in PostgreSQL's src/include/access/xlog_internal.h: magic, info, timeline,
# page address, length of the rest of a record, system identifier, sizes of segment and page.
_HEADER: Final = struct.Struct("=HHIQI4xQII")
_LONG_HEADER: Final = 0x0002
_LOG: Final = 0x1_0000_0000  # bytes for each step of the middle part of a name

History = Mapping[int, tuple[tuple[int, int], ...]]
"""For each timeline but the first: its ancestors, the oldest first, with the LSN of their end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive segments of one timeline; ``last`` is ``None`` for all there are."""

    timeline: int
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Archive:
    """The contents of a directory of archived WAL.

    Attributes
    ----------
    sizes
        Size of each segment in bytes, uncompressed, by name.
    segment_bytes
        The size that each must have.
    system
        The system identifier of the cluster; ``None`` if segments were not checked for it.
    strangers
        What is wrong with each segment that is not of this cluster; they are not in ``sizes``.
    packed
        The file of each segment that is compressed or encrypted, by the segment's name.
    stored_bytes
        The size of all files of segments.
    identity_file
        File of the age identity that decrypts segments; empty for none.
    """

    folder: AnyPath
    sizes: Mapping[str, int]
    segment_bytes: int
    history: History
    system: str | None = None
    strangers: Mapping[str, str] = field(default_factory=dict)
    packed: Mapping[str, AnyPath] = field(default_factory=dict)
    stored_bytes: int = 0
    identity_file: str = ""

    @classmethod
    def of(cls, policy: RecoveryPolicy, segment_bytes: int, system: str | None = None) -> "Archive":
        """List the archive of a policy; see :meth:`read`."""
        return cls.read(policy.storage.wal, segment_bytes, system, policy.identity_file)

    @classmethod
    def read(
        cls,
        folder: AnyPath,
        segment_bytes: int,
        system: str | None = None,
        identity_file: str = "",
    ) -> "Archive":
        """List a directory; one that is missing has no segments.

        Parameters
        ----------
        system
            The system identifier of the cluster, with which the header of each segment is compared.
            Without it no file is opened, and compressed segments count as complete. Of files
            of the archive program, which has compared it, and of objects the name is enough.
        """
        sizes: dict[str, int] = {}
        strangers: dict[str, str] = {}
        packed: dict[str, AnyPath] = {}
        stored: dict[str, int] = {}
        history: dict[int, tuple[tuple[int, int], ...]] = {}
        # A compressed segment comes before the same one uncompressed, which is read.
        for path in reversed(listed(folder)):
            if not path.is_file():
                continue
            name = wal_file(path.name)
            if NAME.fullmatch(name):
                packed.pop(name, None)
                stored[name] = path.stat().st_size
                if path.name != name or isinstance(path, ObjectPath):
                    packed[name] = path
                size = _segment_size(path, segment_bytes, is_opened=system is not None)
                is_checked = system is not None and size == segment_bytes
                owner = segment_system(path) if is_checked and _is_plain(path) else None
                if owner is None or owner == system:
                    sizes[name] = size
                    strangers.pop(name, None)
                else:
                    strangers[name] = f"segment {name} is of another cluster ({owner})"
                    sizes.pop(name, None)
            elif (match := HISTORY_FILE.fullmatch(path.name)) is not None:
                history[int(match[1], 16)] = ancestors(path.read_text(errors="replace"))
        total = sum(stored.values())
        return cls(
            folder, sizes, segment_bytes, history, system, strangers, packed, total, identity_file
        )

    def path(self, name: str) -> AnyPath:
        """Return the file of a segment."""
        return self.packed.get(name, self.folder / name)

    def content(self, name: str) -> bytes:
        """Return the contents of a segment (raises ``wal_damaged``, and OSError)."""
        return content(self.path(name), self.segment_bytes, self.identity_file)

    def size_problem(self, name: str) -> str | None:
        """Return the problem of a segment whose size is wrong, with its file; or ``None``."""
        if (size := self.sizes[name]) == self.segment_bytes:
            return None
        path = self.path(name)
        sealed = Sealed.parse(path.name)
        wanted = self.segment_bytes if sealed is None else sealed.size
        file = "" if path.name == name else f": {path.name}"
        if sealed is None and path.suffix == SUFFIX and size == path.stat().st_size:
            return f"segment {name} has {size} bytes, which are not one whole frame of zstd{file}"
        return f"segment {name} has {size} bytes instead of {wanted}{file}"

    @property
    def newest_timeline(self) -> int:
        """The highest timeline of the cluster, from its segments and history files."""
        own = {int(name[:8], 16) for name in self.sizes}
        return max([1, *own, *(number for number in self.history if self.follows(number, own))])

    @property
    def timelines(self) -> list[int]:
        """All timelines that have segments, in order."""
        return sorted({int(name[:8], 16) for name in self.sizes})

    def segments_of(self, timeline: int, lsn: int) -> list[str]:
        """Return the segments of a timeline from the one with an LSN on, in order."""
        first = segment_name(timeline, lsn // self.segment_bytes, self.segment_bytes)
        return sorted(name for name in self.sizes if name[:8] == first[:8] and name >= first)

    def follows(self, timeline: int, own: set[int]) -> bool:
        """Return whether a history file is of this cluster.

        It names no cluster: a timeline without segments must begin within its parent's segments.
        """
        if self.system is None or timeline in own:
            return True
        if not self.history[timeline]:
            return False
        parent, end = self.history[timeline][-1]
        numbers = [
            segment_number(name, self.segment_bytes)
            for name in self.sizes
            if int(name[:8], 16) == parent
        ]
        return bool(numbers) and end // self.segment_bytes <= max(numbers) + 1


@dataclass(frozen=True, slots=True)
class Coverage:
    """The segments of an archive up to the first gap.

    Attributes
    ----------
    names
        The segments, in order.
    fault
        The problem of the next segment, or ``None`` at the archive's end.
    kind
        ``wal_gap`` or ``wal_damaged`` for a fault, else empty.
    """

    names: tuple[str, ...]
    fault: str | None = None
    kind: str = ""


def segment_system(path: Path) -> str | None:
    """Return the system identifier in the header of a segment; ``None`` if it has no header."""
    return system_of(beginning(path, _HEADER.size))


def system_of(content: bytes) -> str | None:
    """Return the system identifier in the first bytes of a segment, if it has a header."""
    header = content[: _HEADER.size]
    if len(header) < _HEADER.size:  # or removed meanwhile
        return None
    _, info, _, _, _, system, _, _ = _HEADER.unpack(header)
    return str(system) if info & _LONG_HEADER and system else None


def parsed_lsn(text: str) -> int:
    """Return the number of an LSN that is written as ``0/3000028``."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_name(timeline: int, number: int, segment_bytes: int) -> str:
    """Return the name of a segment by its number, counted from the beginning of WAL."""
    high, low = divmod(number, _LOG // segment_bytes)
    return f"{timeline:08X}{high:08X}{low:08X}"


def segment_number(name: str, segment_bytes: int) -> int:
    """Return the number of a segment by its name, without its timeline."""
    return int(name[8:16], 16) * (_LOG // segment_bytes) + int(name[16:], 16)


def ancestors(history: str) -> tuple[tuple[int, int], ...]:
    """Return the contents of a history file: each ancestor and the LSN where it was left."""
    matches = (_HISTORY_LINE.match(line) for line in history.splitlines())
    return tuple((int(match[1]), parsed_lsn(match[2])) for match in matches if match is not None)


def history_problem(archive: Archive, timeline: int) -> str | None:
    """Return the problem of a timeline's history file, or ``None``."""
    text = (archive.folder / f"{timeline:08X}.history").read_text(errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    way = archive.history[timeline]
    if len(way) != len(lines) or not way:
        return "cannot be read"
    numbers, ends = zip(*way, strict=True)
    if list(numbers) != sorted({*numbers}) or numbers[-1] >= timeline or list(ends) != sorted(ends):
        return "does not name the timelines before it in order"
    parent, end = way[-1]
    if way[:-1] != archive.history.get(parent, way[:-1]):
        return f"differs from {parent:08X}.history"
    first = end // archive.segment_bytes
    own = archive.segments_of(timeline, 0)
    if own and segment_number(own[0], archive.segment_bytes) < first:
        return f"says that timeline {timeline} begins after segment {own[0]}"
    if not own and not archive.follows(timeline, set(archive.timelines)):
        return "is of another cluster: no segment leads to it"
    return None


def leads_to(history: History, timeline: int, lsn: int, target: int) -> bool:
    """Return whether a recovery from an LSN on ``timeline`` can end on timeline ``target``."""
    if timeline == target:
        return True
    return any(ancestor == timeline and lsn <= end for ancestor, end in history.get(target, ()))


def route(
    history: History, timeline: int, lsn: int, target: int, segment_bytes: int
) -> list[Piece]:
    """Return the segments from an LSN on ``timeline`` to the end of ``target``.

    The segment in which a timeline was left is taken from its successor, as PostgreSQL does.
    """
    way = [step for step in history.get(target, ()) if step[0] >= timeline]
    first = lsn // segment_bytes
    pieces = []
    for number, end in way:
        last = end // segment_bytes - 1
        if first <= last:
            pieces.append(Piece(number, first, last))
            first = last + 1
    return [*pieces, Piece(target, first, None)]


def coverage(archive: Archive, pieces: list[Piece]) -> Coverage:
    """Return the segments of a route up to the first that is missing or has a wrong size."""
    names: list[str] = []
    for name in wanted(archive, pieces):
        if name in archive.strangers:
            return Coverage(tuple(names), archive.strangers[name], Kind.WAL_DAMAGED)
        if name not in archive.sizes:
            return Coverage(tuple(names), f"segment {name} is missing", "wal_gap")
        if (fault := archive.size_problem(name)) is not None:
            return Coverage(tuple(names), fault, Kind.WAL_DAMAGED)
        names.append(name)
    return Coverage(tuple(names))


def wanted(archive: Archive, pieces: list[Piece]) -> Iterator[str]:
    """Yield the names of a route in order, up to the last one in the archive."""
    size = archive.segment_bytes
    for piece in pieces:
        numbers = (
            segment_number(name, size)
            for name in archive.sizes
            if int(name[:8], 16) == piece.timeline
        )
        last = max(numbers, default=-1) if piece.last is None else piece.last
        for number in range(piece.first, last + 1):
            yield segment_name(piece.timeline, number, size)


def _segment_size(path: AnyPath, segment_bytes: int, *, is_opened: bool) -> int:
    """Return the size of a segment; of its file, if it is not complete."""
    stored, sealed = path.stat().st_size, Sealed.parse(path.name)
    if sealed is not None:
        return segment_bytes if stored == sealed.size else stored
    if path.suffix != SUFFIX:
        return stored
    if is_opened and _is_plain(path):
        return content_size(path)
    return segment_bytes if stored else 0


def _is_plain(path: AnyPath) -> TypeGuard[Path]:
    """Return whether the header of a segment is checked: it is a file, and not encrypted."""
    return isinstance(path, Path) and Sealed.parse(path.name) is None


def expire_wal(wal: AnyPath, oldest: str) -> None:
    """Remove the segments before one, of every timeline, and the labels of base backups in them."""
    for path in listed(wal):
        segment = path.name[: len(oldest)]
        if NAME.fullmatch(segment) and segment[8:] < oldest[8:]:
            path.unlink(missing_ok=True)
