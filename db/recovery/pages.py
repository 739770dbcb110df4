"""Pages of a WAL segment: each must be of its position, its timeline and its cluster.

``pg_waldump`` verifies the checksum of each record. It reads one page after the other and takes the
first that it cannot read for the end of WAL; what is in a segment beyond that is checked here.
"""

import struct
from collections.abc import Collection
from typing import Final

# XLogPageHeaderData in PostgreSQL's src/include/access/xlog_internal.h: magic, info, timeline, page
# address.
_PAGE: Final = struct.Struct("=HHIQ")
_SIZES: Final = struct.Struct("=II")
_SIZES_AT: Final = 32
_PAGE_BYTES: Final = 8192
_LONG_HEADER: Final = 0x0002
_RECORD_HEADER: Final = 24


def page_problem(
    content: bytes, start: int, segment_bytes: int, timelines: Collection[int]
) -> str | None:
    """Return the problem of the first damaged page of a segment, or ``None``.

    Parameters
    ----------
    start
        The LSN at which the segment begins.
    timelines
        The timeline of its name, and earlier ones: a recovery copies the beginning of its first
        segment from the timeline that it leaves.
    """
    if _is_zero(content):
        return "contains only zeros"
    if (problem := _header_problem(content, segment_bytes)) is not None:
        return problem
    last = 0
    for offset in range(0, len(content), _PAGE_BYTES):
        magic, _, timeline, address = _PAGE.unpack_from(content, offset)
        place = lsn_text(start + offset)
        if magic == 0:
            return (
                None
                if _is_zero(content[offset:])
                else f"has an empty page at {place}, before others"
            )
        if address != start + offset:
            return f"has the page of {lsn_text(address)} at {place}"
        if timeline not in timelines or timeline < last:
            return f"has a page of timeline {timeline} at {place}"
        last = timeline
    return None


def rest_problem(content: bytes, start: int, switch: int) -> str | None:
    """Return the problem of a segment's unused rest after a WAL switch.

    Parameters
    ----------
    switch
        The LSN of the record that switches to the next segment.
    """
    rest = content[switch - start + _RECORD_HEADER :]
    return None if _is_zero(rest) else "has data after its last record"


def lsn_text(lsn: int) -> str:
    """Return an LSN as PostgreSQL writes it, such as ``0/3000028``."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _is_zero(content: bytes) -> bool:
    return content == bytes(len(content))


def _header_problem(content: bytes, segment_bytes: int) -> str | None:
    magic, info, _, _ = _PAGE.unpack_from(content)
    if magic == 0 or not info & _LONG_HEADER:
        return "does not begin with the header of a segment"
    size, page = _SIZES.unpack_from(content, _SIZES_AT)
    if (size, page) != (segment_bytes, _PAGE_BYTES):
        return f"has segments of {size} and pages of {page} bytes in its header"
    return None
