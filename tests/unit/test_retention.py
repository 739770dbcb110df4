"""Which backups expire: each sentence of the rule, for any set of backups."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from db.backup.policy import BackupPolicy
from db.backup.retention import Dump, reasons
from tests.support.cases import each

POLICY = BackupPolicy()
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@st.composite
def catalogues(draw: st.DrawFn) -> list[Dump]:
    """Backups of the last four weeks, in any order, some at the same moment."""
    kinds = st.tuples(st.integers(0, 28 * 24), st.booleans(), st.booleans(), st.booleans())
    return [
        Dump(f"b{number}", NOW - hours * HOUR, verified, sound, whole)
        for number, (hours, verified, sound, whole) in enumerate(draw(st.lists(kinds, max_size=25)))
    ]


def gone(backups: list[Dump], days: int, verified: int) -> set[str]:
    """Return the names of those that expire."""
    return {backup.name for backup in backups} - reasons(backups, NOW, days, verified).keys()


def newest(backups: list[Dump]) -> Dump | None:
    """Return the newest full backup."""
    full = [backup for backup in backups if backup.whole]
    return max(full, key=lambda backup: (backup.taken_at, backup.name), default=None)


DAYS = st.integers(1, 20)
VERIFIED = st.integers(1, 6)


@given(catalogues(), DAYS, VERIFIED)
def test_only_what_is_too_old_expires(backups: list[Dump], days: int, verified: int) -> None:
    """Young ones stay, verified or not."""
    names = gone(backups, days, verified)
    for backup in backups:
        assert backup.name not in names or NOW - backup.taken_at > timedelta(days=days)


@given(catalogues(), DAYS, VERIFIED)
def test_the_newest_verified_stay(backups: list[Dump], days: int, verified: int) -> None:
    """As many as the policy says, or all there are; and it is the newest of them."""
    names = gone(backups, days, verified)
    proved = sorted(
        (backup for backup in backups if backup.whole and backup.verified),
        key=lambda backup: (backup.taken_at, backup.name),
        reverse=True,
    )
    assert not {backup.name for backup in proved[:verified]} & names


@given(catalogues(), DAYS, VERIFIED)
def test_the_newest_stays(backups: list[Dump], days: int, verified: int) -> None:
    """However old it is."""
    if (last := newest(backups)) is not None:
        assert last.name not in gone(backups, days, verified)


@given(catalogues(), DAYS, VERIFIED)
def test_nothing_expires_while_the_newest_is_not_sound(
    backups: list[Dump], days: int, verified: int
) -> None:
    """Nor when there is no full backup at all: the others may be all there is."""
    last = newest(backups)
    if last is None or not last.sound:
        assert not gone(backups, days, verified)


@given(catalogues(), DAYS, VERIFIED)
def test_all_other_dumps_expire(backups: list[Dump], days: int, verified: int) -> None:
    """A rule that deletes nothing would pass all of the above."""
    last = newest(backups)
    if last is None or not last.sound:
        return
    names = gone(backups, days, verified)
    old = [backup for backup in backups if NOW - backup.taken_at > timedelta(days=days)]
    spared = {backup.name for backup in old} - names
    proved = {backup.name for backup in old if backup.whole and backup.verified}
    assert spared - proved <= {last.name}
    assert len(spared & proved - {last.name}) <= verified
    assert {backup.name for backup in old if not backup.whole} <= names


@given(catalogues(), DAYS, VERIFIED)
def test_a_second_run_deletes_nothing_more(backups: list[Dump], days: int, verified: int) -> None:
    """What was interrupted between two deletions ends where one run would have ended."""
    names = gone(backups, days, verified)
    rest = [backup for backup in backups if backup.name not in names]
    assert not gone(rest, days, verified)


@given(catalogues(), DAYS, VERIFIED)
def test_every_kept_dump_has_a_reason(backups: list[Dump], days: int, verified: int) -> None:
    """And what goes has none."""
    stays = {backup.name for backup in backups} - gone(backups, days, verified)
    assert set(reasons(backups, NOW, days, verified)) == stays


@each(("hours", "stays"), [(-1, True), (0, True), (1, False)])
def test_the_boundary_is_7_days(hours: int, *, stays: bool) -> None:
    """As the guide has it."""
    assert POLICY.keep_days == 7
    old = Dump("old", NOW - timedelta(days=POLICY.keep_days, hours=hours), verified=False)
    backups = [Dump("new", NOW, verified=False), old]
    assert (old.name not in gone(backups, POLICY.keep_days, POLICY.keep_verified)) is stays


def test_three_verified_ones_stay_for_ever() -> None:
    """Whatever came after them was never proved."""
    assert POLICY.keep_verified == 3
    backups = [Dump("new", NOW, verified=False)] + [
        Dump(f"{days}", NOW - timedelta(days=days), verified=True) for days in (90, 60, 50, 40, 30)
    ]
    assert gone(backups, POLICY.keep_days, POLICY.keep_verified) == {"90", "60"}


def test_partial_dumps_do_not_replace_full_ones() -> None:
    """A table dumped today is no reason to delete last month's database."""
    backups = [
        Dump("table", NOW, verified=False, whole=False),
        Dump("full", NOW - timedelta(days=30), verified=False),
    ]
    assert not gone(backups, 7, 3)
