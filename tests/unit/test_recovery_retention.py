"""Which base backups go: never one that another needs, never too many."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from db.recovery.catalogue import BaseBackup
from db.recovery.retention import retained

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 16 << 20


def backup(number: int, parent: int | None) -> BaseBackup:
    """Return the backup of one day."""
    day = FIRST + timedelta(days=number)
    return BaseBackup(
        name=f"backup-{number:03}",
        parent=None if parent is None else f"backup-{parent:03}",
        started_at=day,
        ended_at=day + timedelta(minutes=1),
        server=180006,
        superuser="postgres",
        system="1",
        timeline=1,
        start_lsn=f"0/{(number + 1) * SIZE:X}",
        stop_lsn=f"0/{(number + 1) * SIZE + 100:X}",
        segment_bytes=SIZE,
        bytes=1,
    )


@st.composite
def catalogues(draw: st.DrawFn) -> list[BaseBackup]:
    """Return backups, each full or built on any earlier one, some of which are gone."""
    count = draw(st.integers(0, 12))
    made = [
        backup(number, draw(st.one_of(st.none(), st.integers(0, number - 1))) if number else None)
        for number in range(count)
    ]
    return [each for each in draw(st.permutations(made)) if draw(st.integers(0, 9))]


def staying(backups: list[BaseBackup], keep: int) -> list[BaseBackup]:
    """Return those that are not removed."""
    remove = retained(backups, keep).remove
    assert len(set(remove)) == len(remove)
    assert set(remove) <= {each.name for each in backups}
    return [each for each in backups if each.name not in remove]


@given(catalogues(), st.integers(1, 5))
def test_no_parent_is_removed_before_its_child(backups: list[BaseBackup], keep: int) -> None:
    """Neither for good nor for a moment, so that a run that is cut off leaves whole chains."""
    present = {each.name for each in backups}
    parents = {each.name: each.parent for each in backups}
    orphans = {name for name, parent in parents.items() if parent and parent not in present}
    for name in retained(backups, keep).remove:
        present.remove(name)
        assert all(
            parent in present
            for child, parent in parents.items()
            if parent and child in present and child not in orphans
        )


@given(catalogues(), st.integers(1, 5))
def test_the_newest_full_ones_stay_with_what_builds_on_them(
    backups: list[BaseBackup], keep: int
) -> None:
    """As many as were asked for, or all when there are fewer."""
    stay = staying(backups, keep)
    full = sorted((each for each in backups if each.parent is None), key=lambda each: each.name)
    assert {each.name for each in full[-keep:]} <= {each.name for each in stay}
    if len(full) < keep:
        assert len(stay) == len(backups)
    else:
        later = [each for each in backups if each.started_at >= full[-keep].started_at]
        assert {each.name for each in later} <= {each.name for each in stay}


@given(catalogues(), st.integers(1, 5))
def test_only_older_unneeded_base_backups_are_removed(backups: list[BaseBackup], keep: int) -> None:
    """Nothing stays for ever."""
    stay = staying(backups, keep)
    full = sorted((each for each in backups if each.parent is None), key=lambda each: each.name)
    needed = {each.parent for each in stay}
    for each in stay:
        if len(full) >= keep and each.started_at < full[-keep].started_at:
            assert each.name in needed


@given(catalogues(), st.integers(1, 5))
def test_wal_stays_from_the_oldest_backup_on(backups: list[BaseBackup], keep: int) -> None:
    """Of those that stay; with none there is nothing to say about WAL."""
    stay = staying(backups, keep)
    oldest = min((each.first_segment for each in stay), default=None)
    assert retained(backups, keep).oldest_segment == oldest


@given(catalogues(), st.integers(1, 5))
def test_a_second_run_removes_nothing(backups: list[BaseBackup], keep: int) -> None:
    """The rule is done with what it decided."""
    assert retained(staying(backups, keep), keep).remove == ()


def test_an_example() -> None:
    """Two full ones are kept: the third oldest goes with the one that builds on it."""
    backups = [backup(0, None), backup(1, 0), backup(2, None), backup(3, 2), backup(4, None)]
    retention = retained(backups, 2)
    assert retention.remove == ("backup-001", "backup-000")
    assert retention.oldest_segment == backups[2].first_segment == "000000010000000000000003"


@given(catalogues(), st.integers(1, 5), st.integers(-400, 400))
def test_dates_of_a_wrong_clock_do_not_decide(
    backups: list[BaseBackup], keep: int, days: int
) -> None:
    """A base backup that is dated in the future is not the newest for that."""
    wrong = [
        replace(each, started_at=each.started_at + timedelta(days=days * (number % 2)))
        for number, each in enumerate(backups)
    ]
    assert retained(wrong, keep) == retained(backups, keep)


@given(catalogues(), st.integers(1, 5), st.integers(0, 12))
def test_every_time_of_the_window_stays_recoverable(
    backups: list[BaseBackup], keep: int, day: int
) -> None:
    """As it was before: from the newest backup that ended before each time, or none."""
    window = FIRST + timedelta(days=day)
    remove = retained(backups, keep, window).remove
    stay = [each for each in backups if each.name not in remove]
    assert {each.name for each in staying(backups, keep)} <= {each.name for each in stay}
    for number in range(day, 14):
        time = FIRST + timedelta(days=number)
        before = [each.name for each in backups if each.ended_at <= time]
        kept = [each.name for each in stay if each.ended_at <= time]
        assert max(kept, default=None) == max(before, default=None)
    if not any(each.ended_at <= window for each in backups):
        assert remove == ()
