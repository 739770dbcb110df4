"""When a run was last due: the same minutes that Celery's own schedule names."""

from datetime import UTC, datetime, timedelta

from celery import Celery
from celery.schedules import crontab
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import each
from worker.beat import last_due

FIELDS = st.tuples(
    st.sampled_from(["*", "0", "59", "*/7", "3-5,30"]),
    st.sampled_from(["*", "0", "23", "*/5", "2,4"]),
    st.sampled_from(["*", "*", "1", "31", "29-30"]),
    st.sampled_from(["*", "*", "2", "*/5"]),
    st.sampled_from(["*", "*", "0", "6", "1-5"]),
).filter(lambda fields: fields[2:4] != ("31", "2"))
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is added


@each(
    ("cron", "now", "due"),
    [
        ("* * * * *", "2026-11-22T20:15:59", "2026-11-22T20:15"),
        ("0 2 * * *", "2026-11-22T02:00:00", "2026-11-22T02:00"),
        ("0 2 * * *", "2026-11-22T01:59:59", "2026-11-21T02:00"),
        ("0 4 * * 0", "2026-11-21T23:00:00", "2026-11-15T04:00"),
        ("0 5 1 * *", "2026-11-01T04:59:00", "2026-10-01T05:00"),
        ("30 4 29 2 *", "2027-12-31T00:00:00", "2024-02-29T04:30"),
        ("0 0 29 2 0", "2026-11-22T00:00:00", None),
    ],
)
def test_the_minute_at_or_before(cron: str, now: str, due: str | None) -> None:
    """In the month, week or leap year before, if need be."""
    moment = last_due(crontab.from_string(cron), datetime.fromisoformat(now).replace(tzinfo=UTC))
    expected = None if due is None else datetime.fromisoformat(due).replace(tzinfo=UTC)
    assert moment == expected


@settings(max_examples=80, deadline=None)
@given(FIELDS, MOMENTS)
def test_celery_says_the_same(fields: tuple[str, ...], now: datetime) -> None:
    """Its next time after a due time is later than now, and that due time is one of its own."""
    schedule = crontab.from_string(" ".join(fields))
    schedule.app = Celery(set_as_current=False)
    due = last_due(schedule, now)
    if due is None:
        return
    assert due <= now
    assert _next(schedule, due) > now
    assert _next(schedule, due - timedelta(minutes=1)) == due


def _next(schedule: crontab, after: datetime) -> datetime:
    start, wait, _ = schedule.remaining_delta(after)
    following: datetime = start + wait
    return following
