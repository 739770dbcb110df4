"""The right dump: safety dumps, dumps of other databases and servers, names, and wrong clocks."""

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.backup.catalogue import Catalogue, Entry, open_catalogue, open_store
from db.backup.create import create
from db.backup.policy import BackupPolicy
from db.backup.prune import prune
from db.backup.restore.merge_table import merge_table
from db.backup.restore.replace_live import replace_live
from db.backup.source import Source
from db.backup.store import DirectoryStore
from db.cluster.programs import Programs
from db.commands.core import Client
from db.errors import OperationError
from db.monitoring.checks import copies
from db.monitoring.checks.finding import Limits
from tests.support.dumps import Backups
from tests.support.operators import DATABASE, private_server
from tests.support.sample_databases import ROWS, SampleDatabase, copy_of, sample_database
from worker.local import LocalStack

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give the database that the others are copies of."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def live(source: SampleDatabase) -> Iterator[SampleDatabase]:
    """Give a database that a test may change."""
    with copy_of(source) as made:
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test."""
    return BackupPolicy(target=str(tmp_path / "backups"))


def backups(database: SampleDatabase, policy: BackupPolicy) -> Backups:
    """Return the backups of a database."""
    return Backups(database.client, policy)


def known(database: SampleDatabase, policy: BackupPolicy) -> Catalogue:
    """Return the catalog, as the service of a database sees it."""
    return open_catalogue(policy, Source.read(database.url))


def findings(catalogue: Catalogue) -> set[str]:
    """Return what the doctor finds."""
    return {found.id for found in copies.dumps(catalogue, Limits(), datetime.now(UTC))}


def restore_over(client: Client, policy: BackupPolicy, table: str | None) -> object:
    """Restore the newest backup over live data."""
    if table is None:
        return replace_live(client, policy)
    return merge_table(client, policy, table=table)


class TestSafety:
    """The state before a restore over live data is not the newest backup."""

    def test_a_second_restore_restores_the_good_backup(
        self, live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After an accident and a first restore that failed after its safety backup."""
        good = create(live.client, policy)
        live.run("DELETE FROM templates")

        def fail(*_: object) -> None:
            raise OperationError("database_in_use", "it is in use", "stop the workers")

        with monkeypatch.context() as patch:
            patch.setattr("db.backup.restore.replace_live.swap", fail)
            with pytest.raises(OperationError):
                replace_live(live.client, policy)
        replaced = replace_live(live.client, policy)
        assert replaced.restored.name == good.name
        assert live.one("SELECT count(*) FROM templates") == ROWS["templates"]
        safety = known(live, policy).get(replaced.safety)
        assert (safety.purpose, safety.tables["templates"].rows) == ("safety", 0)
        assert known(live, policy).newest() == good

    def test_each_table_is_restored_from_the_good_backup(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """One after the other."""
        good = create(live.client, policy)
        live.run("DELETE FROM templates")
        live.run("DELETE FROM idempotency_records")
        for table in ("templates", "template_versions", "idempotency_records"):
            merged = merge_table(live.client, policy, table=table)
            assert (merged.name, merged.inserted) == (good.name, ROWS[table])

    def test_it_can_be_restored_by_its_name(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """And the list says what it is."""
        create(live.client, policy)
        live.run("DELETE FROM idempotency_records")
        safety = replace_live(live.client, policy).safety
        assert "safety" in backups(live, policy).command("list").output
        assert replace_live(live.client, policy, name=safety).restored.rows["templates"] == 5
        assert live.one("SELECT count(*) FROM idempotency_records") == 0

    def test_it_expires_by_a_rule_of_its_own(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """It is not the newest that retention keeps, and does not age with the others."""
        made = {
            days: create(live.client, policy, purpose="safety", now=NOW - timedelta(days=days))
            for days in (0, 13, 15)
        }
        full = create(live.client, policy, now=NOW - timedelta(days=9))
        old = create(live.client, policy, now=NOW - timedelta(days=10))
        done = prune(policy, live.client.programs, source=Source.read(live.url), now=NOW)
        assert set(done.deleted) == {made[15].name, old.name}
        assert done.kept[full.name] == "the newest"
        assert done.kept[made[13].name] == "at most 14 days old"
        assert "dump_old" in findings(known(live, policy))

    @pytest.mark.parametrize("table", [None, "templates"])
    @pytest.mark.parametrize("attribute", ["", "CREATEDB"])
    def test_rights_are_checked_before_anything_is_dumped(
        self, live: SampleDatabase, policy: BackupPolicy, table: str | None, attribute: str
    ) -> None:
        """No dump and no database is left."""
        create(live.client, policy)
        before = backups(live, policy).files()
        role = f"CREATE ROLE weak LOGIN PASSWORD 'x' {attribute} IN ROLE pg_read_all_data"
        live.run(role.encode())
        client = replace(live.client, url=f"postgresql://weak:x@{live.url.rpartition('@')[2]}")
        try:
            with pytest.raises(OperationError) as refused:
                restore_over(client, policy, table)
        finally:
            live.run(b"DROP ROLE weak")
        assert refused.value.kind == "permission_denied"
        assert backups(live, policy).files() == before
        assert live.databases() == {live.name}

    @pytest.mark.parametrize("table", [None, "templates"])
    def test_space_is_checked_before_anything_is_dumped(
        self, live: SampleDatabase, policy: BackupPolicy, table: str | None
    ) -> None:
        """By the size of the dump before compression, which the catalog has."""
        entry = create(live.client, policy)
        assert entry.uncompressed is not None
        assert entry.uncompressed > 0
        Catalogue(open_store(policy.target)).add(entry.model_copy(update={"uncompressed": 2**60}))
        before = backups(live, policy).files()
        with pytest.raises(OperationError, match="SCRATCH_DIRECTORY") as refused:
            restore_over(live.client, policy, table)
        assert refused.value.kind == "disk_full"
        assert backups(live, policy).files() == before


class TestForeign:
    """One target, several databases and servers."""

    @pytest.fixture
    def staging(self, source: SampleDatabase) -> Iterator[SampleDatabase]:
        """Give another database of the same server."""
        with copy_of(source) as made:
            made.run("DELETE FROM idempotency_records")
            yield made

    def test_the_newest_backup_of_another_database_is_not_restored(
        self, live: SampleDatabase, staging: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """Not even when there is no other; named without the flag it is refused."""
        foreign = create(staging.client, policy)
        for command in ("restore", "drill", "verify"):
            refused = backups(live, policy).command(command)
            assert (refused.exit_code, "no full backup" in refused.output) == (1, True)
        mine = create(live.client, policy, now=NOW - timedelta(hours=1))
        assert known(live, policy).newest() == mine
        assert replace_live(live.client, policy).restored.name == mine.name
        for arguments in (
            ("restore", foreign.name),
            ("restore", foreign.name, "--over-live", "--yes"),
            ("drill", foreign.name),
        ):
            refused = backups(live, policy).command(*arguments)
            assert (refused.exit_code, "--foreign" in refused.output) == (1, True)
            assert staging.name in refused.output
        assert backups(live, policy).command("restore", "--foreign").exit_code == 2

    def test_a_foreign_backup_is_restored_by_name_and_flag(
        self, live: SampleDatabase, staging: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """The list says whose it is."""
        foreign = create(staging.client, policy)
        listed = json.loads(backups(live, policy).command("list", "--json").output)
        assert [entry["foreign"] for entry in listed["backups"]] == [True]
        done = backups(live, policy).command(
            "restore", foreign.name, "--foreign", "--over-live", "--yes"
        )
        assert done.exit_code == 0, done.output
        assert live.one("SELECT count(*) FROM idempotency_records") == 0

    def test_foreign_backups_are_neither_counted_nor_deleted(
        self, live: SampleDatabase, staging: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """Whole ones, expired ones, damaged ones and unfinished files."""
        names = ("old", "damaged", "failed", "unreadable")
        entries = {
            name: create(staging.client, policy, now=NOW - timedelta(days=40)) for name in names
        }
        fresh = create(staging.client, policy)
        folder = Path(policy.target)
        (folder / entries["damaged"].dump.name).write_bytes(b"")
        Catalogue(open_store(policy.target)).add(
            entries["failed"].model_copy(update={"problem": "rows are missing"})
        )
        (folder / f"{entries['unreadable'].name}.json").write_text("{")
        partial = folder / f"{fresh.name}_x.dump.zst.partial"
        partial.write_bytes(b"x")
        old = (NOW - timedelta(days=3)).timestamp()
        os.utime(partial, (old, old))
        (folder / f"{fresh.name}.json").unlink()
        mine = create(live.client, policy, now=NOW - timedelta(days=9))
        older = create(live.client, policy, now=NOW - timedelta(days=10))
        before = backups(live, policy).files()
        assert known(live, policy).problems() == []
        source = Source.read(live.url)
        done = prune(policy, live.client.programs, source=source, now=NOW, unlisted=True)
        assert (done.deleted, done.leftovers) == ([older.name], [])
        assert done.kept == {mine.name: "the newest"}
        gone = before.keys() - backups(live, policy).files().keys()
        assert gone == {*(file.name for file in older.files), f"{older.name}.json"}
        assert findings(known(live, policy)) == {"dump_old", "dump_unverified"}

    def test_backups_of_earlier_versions_stay_readable(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """They have no server: they are ours when their database is."""
        entry = create(live.client, policy)
        sidecar = Path(policy.target) / f"{entry.name}.json"
        fields = json.loads(sidecar.read_text())
        for name in ("system", "purpose", "uncompressed"):
            del fields[name]
        sidecar.write_text(json.dumps(fields))
        old = known(live, policy).newest()
        assert (old.system, old.purpose, old.name) == (None, "regular", entry.name)
        assert replace_live(live.client, policy).restored.name == entry.name
        sidecar.write_text(json.dumps(fields | {"database": "other"}))
        assert known(live, policy).is_foreign(known(live, policy).get(entry.name))

    def test_the_list_works_without_the_server(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """That is the day it is needed."""
        entry = create(live.client, policy)
        away = replace(live.client, url="postgresql://x:x@127.0.0.1:1/x")
        listed = json.loads(Backups(away, policy).command("list", "--json").stdout)
        assert [(one["name"], one["foreign"]) for one in listed["backups"]] == [(entry.name, None)]


class TestNames:
    """Two servers, one target, one second, the same name of the database."""

    def test_backups_of_two_servers_do_not_touch_each_other(
        self, tmp_path: Path, policy: BackupPolicy
    ) -> None:
        """Each names its server; retention of one leaves those of the other."""
        with (
            private_server(tmp_path / "one") as (_, one),
            private_server(tmp_path / "two") as (_, two),
        ):
            databases = [SampleDatabase(one), SampleDatabase(two)]
            made = [create(each.client, policy, now=NOW) for each in databases for _ in range(2)]
            assert len({entry.name for entry in made}) == 4
            for each, entry in zip(databases, made[::2], strict=True):
                system = Source.read(each.url).system
                assert entry.name.startswith(f"{DATABASE}_{NOW:%Y%m%d_%H%M%S}_{system}_")
                assert entry.system == system
                catalogue = known(each, policy)
                assert catalogue.problems() == []
                assert len(catalogue.own()) == 2
            old = [create(each.client, policy, now=NOW - timedelta(days=30)) for each in databases]
            source = Source.read(one)
            done = prune(policy, Programs.chosen(), source=source, now=NOW, unlisted=True)
            assert done.deleted == [old[0].name]
            assert known(databases[1], policy).problems() == []

    def test_a_taken_name_is_not_overwritten(
        self, live: SampleDatabase, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither finished files nor unfinished ones; after the error they are still there."""
        monkeypatch.setattr("db.backup.source.token_hex", lambda _: "0" * 8)
        entry = create(live.client, policy, now=NOW)
        before = backups(live, policy).files()
        with pytest.raises(OperationError) as refused:
            create(live.client, policy, now=NOW)
        assert refused.value.kind == "file_exists"
        assert backups(live, policy).files() == before
        partial = Path(policy.target) / f"{entry.dump.name}.partial"
        partial.write_bytes(b"of another process")
        with pytest.raises(OperationError):
            create(live.client, policy, now=NOW)
        assert partial.read_bytes() == b"of another process"

    def test_a_store_reports_a_read_only_file_system(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which refuses the removal of what could not be created, too."""

        def refused(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        for name in ("os.open", "pathlib.Path.unlink"):
            monkeypatch.setattr(name, refused)
        with pytest.raises(OperationError, match="cannot be written to: Read-only") as caught:
            DirectoryStore(tmp_path).write("x", b"")
        assert caught.value.kind == "target_unwritable"

    @pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
    def test_a_store_replaces_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
    ) -> None:
        """On any file system."""

        def refused(*_: object) -> None:
            raise PermissionError(1, "no hard links here")

        if not links:
            monkeypatch.setattr(Path, "hardlink_to", refused)
        store = DirectoryStore(tmp_path)
        draft = tmp_path / "x.partial"
        draft.write_bytes(b"first")
        store.put(draft, "x")
        draft.write_bytes(b"second")
        with pytest.raises(OperationError, match="x is already"):
            store.put(draft, "x")
        assert (tmp_path / "x").read_bytes() == b"first"

    def test_names_of_a_source_are_recognized(self) -> None:
        """With their suffixes, and those that earlier versions wrote."""
        mine, other = Source("17", "shop=1"), Source("18", "shop=1")
        name = mine.new_name(NOW, "table", "x y")
        for file in (f"{name}.dump.zst", f"{name}.roles.json.gz.age", f"{name}.json"):
            assert (mine.owns_name(file), mine.is_foreign_name(file)) == (True, False)
            assert (other.owns_name(file), other.is_foreign_name(file)) == (False, True)
        assert Source("17", "shop").is_foreign_name(name)
        assert mine.owns_name("shop_1_20260101_020000.dump.zst")
        assert not other.is_foreign_name("shop_1_20260101_020000.dump.zst")


class TestFuture:
    """A dump of a machine whose clock was ahead."""

    def test_it_is_a_finding_and_never_the_newest(
        self, live: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """It stays, and neither retention, doctor nor report count it."""
        ahead = create(live.client, policy, now=datetime.now(UTC) + timedelta(days=40))
        catalogue = known(live, policy)
        with pytest.raises(OperationError) as refused:
            catalogue.newest()
        assert refused.value.kind == "backup_not_found"
        assert {"dump_future_date", "dump_old"} <= findings(catalogue)
        mine = create(live.client, policy, now=NOW - timedelta(days=9))
        assert catalogue.newest() == mine
        assert replace_live(live.client, policy).restored.name == mine.name
        done = prune(policy, live.client.programs, source=Source.read(live.url), now=NOW)
        assert done.kept[ahead.name] == "dated in the future"
        assert done.kept[mine.name] == "the newest"
        listed = backups(live, policy).command("list")
        assert (listed.exit_code, "in the future" in listed.output) == (1, True)

    def test_clocks_may_differ_by_minutes(self, live: SampleDatabase, policy: BackupPolicy) -> None:
        """Machines do."""
        entry: Entry = create(live.client, policy, now=datetime.now(UTC) + timedelta(minutes=3))
        assert known(live, policy).newest() == entry
        assert "dump_future_date" not in findings(known(live, policy))
