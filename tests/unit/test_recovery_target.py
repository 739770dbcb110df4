"""The recovery target settings of PostgreSQL."""

from datetime import datetime

from db.commands.physical import WalRecord
from db.recovery.target import Target
from db.recovery.transactions import ended
from tests.support.cases import each

TARGETS = ("recovery_target_time", "recovery_target_name", "recovery_target_xid")
TIME = datetime.fromisoformat("2026-11-22T11:00:00.25+01:00")


@each(
    ("target", "setting", "value", "inclusive"),
    [
        (Target(time=TIME), "recovery_target_time", "2026-11-22 10:00:00.250000+00:00", "on"),
        (Target(restore_point="before it"), "recovery_target_name", "before it", "on"),
        (Target(before_transaction=762), "recovery_target_xid", "762", "off"),
        (Target(before_transaction=(3 << 32) + 9), "recovery_target_xid", "9", "off"),
    ],
)
def test_one_target_is_set_and_the_others_emptied_before_it(
    target: Target, setting: str, value: str, inclusive: str
) -> None:
    """PostgreSQL refuses two; it reads options of the command line in their order."""
    settings = target.settings()
    assert settings[setting] == value
    assert settings["recovery_target_inclusive"] == inclusive
    assert settings["recovery_target_action"] == "promote"
    others = [name for name in TARGETS if name != setting]
    order = list(settings)
    assert all(settings[name] == "" for name in others)
    assert all(order.index(name) < order.index(setting) for name in others)


def test_the_latest_is_no_target() -> None:
    """All WAL is replayed."""
    settings = Target().settings()
    assert all(settings[name] == "" for name in TARGETS)


@each(
    ("description", "expected"),
    [
        ("COMMIT 2026-11-22 20:28:59.205880 UTC; inval msgs: catcache 82", (7, True)),
        ("COMMIT 2026-11-22 20:28:59.205880 UTC", (7, True)),
        ("ABORT 2026-11-22 20:28:59.205880 UTC", (7, False)),
        ("COMMIT_PREPARED 757: 2026-11-22 20:28:59.205880 UTC", (757, True)),
        ("ABORT_PREPARED 757: 2026-11-22 20:28:59.205880 UTC", (757, False)),
        ("ASSIGNMENT xtop 757: subxacts: 758", None),
        ("INVALIDATION ; inval msgs: catcache 82", None),
    ],
)
def test_the_end_of_a_transaction_is_read(
    description: str, expected: tuple[int, bool] | None
) -> None:
    """Its number, its time, and whether it committed."""
    record = WalRecord("Transaction", 7, "0/1", description)
    end = ended(record)
    assert (None if end is None else (end[0], end[2])) == expected
    if end is not None:
        assert end[1].isoformat() == "2026-11-22T20:28:59.205880+00:00"


def test_other_records_end_nothing() -> None:
    """Though their words be the same."""
    assert ended(WalRecord("Heap", 7, "0/1", "COMMIT 2026-11-22 20:28:59.205880 UTC")) is None
