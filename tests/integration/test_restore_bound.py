"""A database that is replaced may have more than sessions: prepared transactions, logical slots."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from db.backup.catalogue import Entry
from db.backup.create import create
from db.backup.databases import swap
from db.backup.policy import BackupPolicy
from db.backup.restore.replace_live import replace_live
from db.backup.restore.restore import restore
from db.errors import OperationError
from tests.support.operators import private_server
from tests.support.sample_databases import ROWS, SampleDatabase


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleDatabase]:
    """Give a database of a server that has such things."""
    settings = {"max_prepared_transactions": "5", "wal_level": "logical"}
    with private_server(tmp_path_factory.mktemp("bound"), settings) as (_, url):
        made = SampleDatabase(url)
        made.fill()
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test."""
    return BackupPolicy(target=str(tmp_path / "backups"))


def refused(live: SampleDatabase, policy: BackupPolicy) -> OperationError:
    """Return the refusal to replace the live database, before which nothing was dumped."""
    before = sorted(Path(policy.target).iterdir())
    with pytest.raises(OperationError) as caught:
        replace_live(live.client, policy)
    assert sorted(Path(policy.target).iterdir()) == before
    return caught.value


def test_a_database_with_more_than_sessions_is_not_replaced(
    live: SampleDatabase, policy: BackupPolicy
) -> None:
    """All of them are named at once, with the statements that release them."""
    create(live.client, policy)
    # In this order: a new slot waits for open transactions.
    live.run(b"SELECT pg_create_logical_replication_slot('changes', 'pgoutput')")
    live.run(b"BEGIN; INSERT INTO alembic_version VALUES ('x'); PREPARE TRANSACTION 'it''s one'")
    live.run(
        b"CREATE SUBSCRIPTION \"My sub\" CONNECTION 'dbname=none' PUBLICATION p"
        b" WITH (connect = false)"
    )
    live.run(b'ALTER SUBSCRIPTION "My sub" ENABLE')
    try:
        error = refused(live, policy)
    finally:
        released = [
            b'ALTER SUBSCRIPTION "My sub" DISABLE',
            b'ALTER SUBSCRIPTION "My sub" SET (slot_name = NONE)',
            b'DROP SUBSCRIPTION "My sub"',
            b"ROLLBACK PREPARED 'it''s one'",
            b"SELECT pg_drop_replication_slot('changes')",
        ]
        for statement in released:
            live.run(statement)
    assert error.kind == "database_in_use"
    for name in ("prepared transaction it's one", "logical slot changes", "subscription My sub"):
        assert name in error.message
    for index in (0, 3, 4):
        assert released[index].decode() in error.remedy
    assert replace_live(live.client, policy).restored.rows["templates"] == ROWS["templates"]


def test_what_a_database_gets_while_its_backup_is_restored_stays_with_it(
    live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore may take hours: what the rename would leave behind is checked again before it."""
    create(live.client, policy)

    def create_safety(*arguments: Any, **options: Any) -> Entry:  # noqa: ANN401 - of create
        live.run(b"SELECT pg_create_logical_replication_slot('later', 'pgoutput')")
        return create(*arguments, **options)

    monkeypatch.setattr("db.backup.restore.replace_live.create", create_safety)
    try:
        _assert_kept(live, policy, "logical slot later")
    finally:
        live.run(b"SELECT pg_drop_replication_slot('later')")


def test_a_transaction_that_is_prepared_during_the_swap_stops_it(
    live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last check: the server refuses the rename, and both databases keep their names."""
    create(live.client, policy)

    def prepare_and_swap(*arguments: str) -> None:
        live.run(b"BEGIN; INSERT INTO alembic_version VALUES ('x'); PREPARE TRANSACTION 'last'")
        swap(*arguments)

    monkeypatch.setattr("db.backup.restore.replace_live.swap", prepare_and_swap)
    try:
        _assert_kept(live, policy, "1 prepared transaction")
    finally:
        live.run(b"ROLLBACK PREPARED 'last'")


def _assert_kept(live: SampleDatabase, policy: BackupPolicy, words: str) -> None:
    """Restore over the live database; it is in use, as the error says, and keeps its name."""
    before = live.databases()
    with pytest.raises(OperationError, match=words) as caught:
        replace_live(live.client, policy)
    assert caught.value.kind == "database_in_use"
    assert live.databases() == before


def test_the_space_on_the_disk_of_the_server_is_checked_first(
    live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would run out of it in the middle, and writes of the live database fail."""
    entry = create(live.client, policy)
    needed = entry.database_bytes or 0
    assert needed > 0
    usage = shutil.disk_usage
    data = live.one("SHOW data_directory")

    def full(path: Path | str) -> Sequence[int]:
        real = usage(path)
        return real._replace(free=needed - 1) if str(path) == data else real

    monkeypatch.setattr(shutil, "disk_usage", full)
    error = refused(live, policy)
    assert (error.kind, data in error.message) == ("disk_full", True)
    with pytest.raises(OperationError, match="of the server"):
        restore(live.client, policy)
