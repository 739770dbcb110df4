"""Names of WAL files, timelines, and gaps."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.recovery.segments import (
    Archive,
    Piece,
    ancestors,
    coverage,
    leads_to,
    parsed_lsn,
    route,
    segment_name,
    segment_number,
)
from tests.support.cases import each

SIZE = 16 << 20
HISTORY = {2: ((1, 5 * SIZE + 40),), 3: ((1, 5 * SIZE + 40), (2, 9 * SIZE))}


def name(timeline: int, number: int) -> str:
    """Return a segment's name."""
    return segment_name(timeline, number, SIZE)


def archive(*names: str, sizes: dict[str, int] | None = None) -> Archive:
    """Return an archive of whole segments, but for those of other sizes."""
    return Archive(Path("wal"), dict.fromkeys(names, SIZE) | (sizes or {}), SIZE, HISTORY)


@given(
    timeline=st.integers(1, 0xFFFFFFFF),
    number=st.integers(0, 0xFFFFFFFF),
    megabytes=st.sampled_from([1, 16, 64, 1024]),
)
def test_a_name_says_its_number(timeline: int, number: int, megabytes: int) -> None:
    """Whatever the size of a segment, and names are in the order of numbers."""
    size = megabytes << 20
    text = segment_name(timeline, number, size)
    assert len(text) == 24
    assert segment_number(text, size) == number
    assert segment_name(timeline, number + 1, size) > text


def test_a_name_is_as_postgresql_writes_it() -> None:
    """The example of the documentation, chapter "WAL Internals"."""
    assert name(1, 1) == "000000010000000000000001"
    assert name(0x10, 0x2FF) == "0000001000000002000000FF"
    assert parsed_lsn("2/3000028") == (2 << 32) + 0x3000028


def test_a_history_file_names_ancestors() -> None:
    """Comments and empty lines are none."""
    text = "1\t0/5000028\tno recovery target specified\n\n# a comment\n2\t1/9000000\tbefore 2026\n"
    assert ancestors(text) == ((1, 0x5000028), (2, (1 << 32) + 0x9000000))


@each(
    ("timeline", "segment", "target", "leads"),
    [
        (1, 3, 1, True),
        (1, 3, 2, True),
        (1, 5, 2, False),
        (1, 3, 3, True),
        (2, 8, 3, True),
        (2, 10, 3, False),
        (2, 6, 1, False),
        (3, 12, 3, True),
    ],
)
def test_a_base_backup_leads_to_later_times_only(
    timeline: int, segment: int, target: int, *, leads: bool
) -> None:
    """A timeline that was left before the backup's end cannot be reached from it."""
    assert leads_to(HISTORY, timeline, segment * SIZE + 100, target) is leads


@each(
    ("timeline", "segment", "target", "pieces"),
    [
        (1, 3, 1, [Piece(1, 3, None)]),
        (1, 3, 2, [Piece(1, 3, 4), Piece(2, 5, None)]),
        (1, 5, 2, [Piece(2, 5, None)]),
        (1, 3, 3, [Piece(1, 3, 4), Piece(2, 5, 8), Piece(3, 9, None)]),
        (2, 6, 3, [Piece(2, 6, 8), Piece(3, 9, None)]),
    ],
)
def test_a_route_changes_timelines_where_they_were_left(
    timeline: int, segment: int, target: int, pieces: list[Piece]
) -> None:
    """The segment in which that happened is the successor's."""
    assert route(HISTORY, timeline, segment * SIZE + 1, target, SIZE) == pieces


@pytest.mark.parametrize(
    ("there", "names", "fault"),
    [
        pytest.param([(1, 3), (1, 4)], [(1, 3), (1, 4)], None, id="whole"),
        pytest.param([], [], None, id="nothing yet"),
        pytest.param([(1, 1), (1, 2)], [], None, id="only what is older"),
        pytest.param([(1, 3), (1, 5)], [(1, 3)], name(1, 4), id="a gap"),
        pytest.param([(1, 4)], [], name(1, 3), id="a gap at the beginning"),
        pytest.param([(1, 3), (2, 5)], [(1, 3)], None, id="another timeline is none of it"),
    ],
)
def test_a_missing_segment_before_others_is_a_gap(
    there: list[tuple[int, int]], names: list[tuple[int, int]], fault: str | None
) -> None:
    """The end of the archive is no gap."""
    wal = coverage(archive(*(name(*each) for each in there)), [Piece(1, 3, None)])
    assert wal.names == tuple(name(*each) for each in names)
    assert (wal.fault or "").startswith(f"segment {fault}" if fault else "")
    assert (wal.kind == "wal_gap") is (fault is not None)


def test_a_segment_of_another_size_ends_the_coverage() -> None:
    """A copy that was cut off is not read over."""
    wal = coverage(archive(name(1, 3), name(1, 5), sizes={name(1, 4): 10}), [Piece(1, 3, None)])
    assert (wal.names, wal.kind) == ((name(1, 3),), "wal_damaged")
    assert wal.fault == f"segment {name(1, 4)} has 10 bytes instead of {SIZE}"


@given(st.sets(st.integers(3, 20)))
def test_coverage_is_the_longest_run(numbers: set[int]) -> None:
    """It stops at the first one that is missing, and says so if others follow."""
    wal = coverage(archive(*(name(1, number) for number in numbers)), [Piece(1, 3, None)])
    run = [
        number for number in range(3, 22) if all(each in numbers for each in range(3, number + 1))
    ]
    assert wal.names == tuple(name(1, number) for number in run)
    assert (wal.fault is not None) is (len(run) < len(numbers))


def test_a_folder_is_read(tmp_path: Path) -> None:
    """Drafts, histories of backups and other files are no segments."""
    (tmp_path / name(1, 3)).write_bytes(b"x" * 10)
    (tmp_path / "00000002.history").write_text("1\t0/5000028\tx\n")
    others = [
        f".{name(1, 4)}.host.1.partial",
        f"{name(1, 3)}.00000028.backup",
        f"{name(1, 4)}.partial",
    ]
    for other in others:
        (tmp_path / other).touch()
    wal_archive = Archive.read(tmp_path, SIZE)
    assert wal_archive.sizes == {name(1, 3): 10}
    assert wal_archive.history == {2: ((1, 0x5000028),)}
    assert wal_archive.newest_timeline == 2
