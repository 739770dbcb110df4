"""Failing and damaged backups are reported, and all other backups stay untouched."""

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyrage  # type: ignore[import-untyped]
import pytest

from db.backup.catalogue import Entry
from db.backup.create import BackupRunningError
from db.backup.prune import prune
from db.backup.streams import reader
from db.backup.verify import verify
from db.cluster.programs import Programs
from db.errors import OperationError
from tests.factories import templates
from tests.support.dumps import Backups, aged, backups, wrapped
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

NOW = datetime.now(UTC)
Change = Callable[[Backups, Path], Backups]


@pytest.fixture(scope="module")
def known(
    servers: LocalStack, tasks: Tasks, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Give the files of a full backup that is older than it may be, and of a newer one."""
    templates.published(tasks, "<p>" + "".join(map(chr, range(0x4E00, 0x5E00))) + "</p>")
    made = backups(servers, tmp_path_factory.mktemp("known") / "backups")
    made.make(now=NOW - timedelta(days=30))
    made.make(now=NOW - timedelta(days=10))
    return made.files()


@pytest.fixture
def kept(servers: LocalStack, known: dict[str, bytes], tmp_path: Path) -> Backups:
    """Give a folder with those two backups."""
    existing = backups(servers, tmp_path / "backups")
    existing.folder.mkdir(mode=0o700)
    for name, content in known.items():
        (existing.folder / name).write_bytes(content)
    return existing


def scripted(**scripts: str) -> Change:
    """Have some programs run behind a script."""

    def change(kept: Backups, folder: Path) -> Backups:
        return with_programs(kept, wrapped(folder / "bin", **scripts))

    return change


def with_programs(kept: Backups, programs: Programs) -> Backups:
    """Use other programs."""
    return replace(kept, client=replace(kept.client, programs=programs))


def old_client(kept: Backups, folder: Path) -> Backups:
    """Have a pg_dump that is older than any server."""
    return with_programs(kept, aged(folder / "bin", "pg_dump", "14.20"))


def no_programs(kept: Backups, folder: Path) -> Backups:
    """Have an empty folder instead of the programs."""
    (folder / "bin").mkdir()
    return with_programs(kept, Programs(folder / "bin"))


def wrong_password(kept: Backups, folder: Path) -> Backups:
    """Come with a password that is none."""
    user, _, rest = kept.client.url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:wrong@{rest}"
    return replace(kept, client=replace(kept.client, url=wrong))


def bad_recipients(kept: Backups, folder: Path) -> Backups:
    """Encrypt to what is no key."""
    (folder / "recipients").write_text("AGE-SECRET-KEY-1OOPS\n")
    return kept.using(recipients_file=str(folder / "recipients"))


def no_recipients(kept: Backups, folder: Path) -> Backups:
    """Encrypt to nobody."""
    (folder / "recipients").write_text("# to be filled in\n")
    return kept.using(recipients_file=str(folder / "recipients"))


def lost_recipients(kept: Backups, folder: Path) -> Backups:
    """Encrypt to a file that is gone."""
    return kept.using(recipients_file=str(folder / "recipients"))


FAULTS: dict[str, tuple[Change, str, str]] = {
    "pg_dump killed midway": (
        scripted(pg_dump='"$REAL" "$@" | head -c 9000\nkill -9 $$'),
        "pg_dump_failed",
        "killed by signal 9",
    ),
    "pg_dump fails after its last byte": (
        scripted(pg_dump='"$REAL" "$@"\necho "pg_dump: error: it hurts" >&2\nexit 3'),
        "pg_dump_failed",
        "it hurts",
    ),
    "pg_dump prints nothing": (scripted(pg_dump="exit 0"), "archive_unreadable", "pg_restore"),
    "pg_dump is cut off and says nothing": (
        scripted(pg_dump='"$REAL" "$@" | head -c 900'),
        "archive_unreadable",
        "pg_restore",
    ),
    "client older than the server": (old_client, "client_too_old", "14.20"),
    "no programs": (no_programs, "programs_missing", "pg_dump"),
    "password refused": (wrong_password, "password_refused", "password"),
    "a recipient that is not a key": (bad_recipients, "keys_unreadable", "line 1"),
    "no recipient": (no_recipients, "keys_unreadable", "no key"),
    "no file of recipients": (lost_recipients, "keys_unreadable", "No such file"),
}


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Have no file of this process, nor of those it starts, grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fails(tasks: Tasks, broken: Backups, kind: str, message: str) -> None:
    """Make a backup in all three ways; each says what is wrong, and leaves all as it was."""
    before = broken.files()
    with pytest.raises(OperationError, match=message) as caught:
        broken.make()
    assert caught.value.kind == kind
    assert caught.value.remedy
    assert broken.files() == before
    done = broken.command("create")
    assert (done.exit_code, message in done.output) == (1, True)
    assert "Traceback" not in done.output
    with broken.as_settings(), pytest.raises(RefusedError) as refused:
        tasks.call("maintenance.backup")
    assert refused.value.code == "maintenance_failed"
    assert [detail["type"] for detail in refused.value.details] == [kind]
    assert broken.files() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_backup_leaves_nothing_behind(
    tasks: Tasks, kept: Backups, tmp_path: Path, fault: str
) -> None:
    """Nothing is left of it, and nothing expires, though the oldest backup could."""
    change, kind, message = FAULTS[fault]
    fails(tasks, change(kept, tmp_path), kind, message)


@pytest.mark.parametrize("secret", [False, True], ids=["open", "encrypted"])
def test_a_full_disk_is_reported(
    tasks: Tasks, kept: Backups, tmp_path: Path, *, secret: bool
) -> None:
    """In the middle of the dump: the file under way goes, so that what is there can be read."""
    existing = kept
    if secret:
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        (tmp_path / "recipients").write_text(recipient)
        existing = kept.using(recipients_file=str(tmp_path / "recipients"))
    with full_disk(4096):
        fails(tasks, existing, "disk_full", "is full")


def test_an_unwritable_target_is_reported(tasks: Tasks, kept: Backups, tmp_path: Path) -> None:
    """For root too: the file system is not asked for rights, it has no such place."""
    broken = kept.using(target="/proc/no/backups")
    fails(tasks, broken, "target_unwritable", "cannot be written to")


def test_a_role_that_may_not_read_everything_is_refused(servers: LocalStack, kept: Backups) -> None:
    """A dump without some tables would look like one with all of them."""
    before = kept.files()
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS blind")
        connection.execute("CREATE ROLE blind LOGIN PASSWORD 'blind'")
        try:
            url = f"postgresql://blind:blind@{servers.postgres.url.rpartition('@')[2]}"
            with pytest.raises(OperationError, match="permission denied") as caught:
                replace(kept, client=replace(kept.client, url=url)).make()
        finally:
            connection.execute("DROP ROLE blind")
    assert caught.value.kind == "permission_denied"
    assert kept.files() == before


def test_a_missing_table_is_refused(kept: Backups) -> None:
    """The error names those that are; a pattern is no name."""
    for name in ("tmeplates", "template*", "Templates"):
        with pytest.raises(OperationError, match="template_versions") as caught:
            kept.make(contents="table", table=name)
        assert caught.value.kind == "table_not_found"


@pytest.mark.parametrize("secret", [False, True], ids=["open", "encrypted"])
def test_an_interrupted_backup_leaves_no_files(
    kept: Backups, tmp_path: Path, *, secret: bool
) -> None:
    """Whatever the library for encryption makes of Ctrl-C, or of the time limit of a task."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    existing = kept
    if secret:
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        (tmp_path / "recipients").write_text(recipient)
        existing = kept.using(recipients_file=str(tmp_path / "recipients"))
    before = existing.files()
    with pytest.raises(KeyboardInterrupt):
        existing.make(progress=interrupted)
    assert existing.files() == before
    assert existing.make().encrypted is secret


def test_a_second_backup_is_refused_while_one_runs(servers: LocalStack, kept: Backups) -> None:
    """Two dumps would only be slower."""
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('maintenance.backup', 0))"
    with Rows(servers.postgres.url).held(lock), pytest.raises(BackupRunningError):
        kept.make()
    assert kept.make().name


def flipped(path: Path, place: float) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[int((len(content) - 1) * place)] ^= 0x10
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Lose the second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def grown(path: Path) -> None:
    """Get something appended."""
    path.write_bytes(path.read_bytes() + b"\0")


def gone(path: Path) -> None:
    """Be deleted."""
    path.unlink()


DAMAGE: list[Any] = [
    pytest.param(lambda path: flipped(path, 0), "checksum_mismatch", id="first byte"),
    pytest.param(lambda path: flipped(path, 0.5), "checksum_mismatch", id="a byte in the middle"),
    pytest.param(lambda path: flipped(path, 1), "checksum_mismatch", id="last byte"),
    pytest.param(cut, "truncated", id="cut off"),
    pytest.param(lambda path: path.write_bytes(b""), "truncated", id="empty"),
    pytest.param(grown, "checksum_mismatch", id="grown"),
    pytest.param(gone, "missing_file", id="gone"),
]


def newest(kept: Backups) -> Entry:
    """Return the backup that is damaged."""
    return kept.catalogue.newest()


@pytest.mark.parametrize("part", ["dump", "roles"])
@pytest.mark.parametrize(("damage", "kind"), DAMAGE)
def test_a_damaged_backup_is_reported_and_stops_retention(
    kept: Backups, damage: Callable[[Path], None], kind: str, part: str
) -> None:
    """The oldest would have expired; it may be the only one that is left."""
    entry = newest(kept)
    file = entry.dump if part == "dump" else entry.roles
    assert file is not None
    damage(kept.folder / file.name)
    before = kept.files()
    with pytest.raises(OperationError, match=file.name) as caught:
        verify(kept.catalogue.store, entry, kept.policy, kept.client.programs)
    assert caught.value.kind == kind
    with pytest.raises(OperationError, match="no backup was deleted") as caught:
        prune(kept.policy, kept.client.programs, source=kept.source, now=NOW)
    assert caught.value.kind == kind
    assert kept.files() == before
    for arguments in (("verify", entry.name), ("verify", "--all"), ("prune",)):
        done = kept.command(*arguments)
        assert (done.exit_code, file.name in done.output) == (1, True)
    assert kept.files() == before


def test_retention_deletes_the_oldest_backup_if_none_is_damaged(kept: Backups) -> None:
    """So that the tests above could fail."""
    old = kept.catalogue.entries()[-1]
    assert prune(kept.policy, kept.client.programs, source=kept.source, now=NOW).deleted == [
        old.name
    ]


def test_backup_cat_fails_on_a_damaged_backup(kept: Backups) -> None:
    """Though its first half was printed by then."""
    entry = newest(kept)
    flipped(kept.folder / entry.dump.name, 0.9)
    done = kept.command("cat", entry.name)
    assert (done.exit_code, "SHA-256" in done.output) == (1, True)


def test_a_failed_drill_stops_retention(kept: Backups) -> None:
    """Sound files of a database that cannot be restored are no backup."""
    kept.catalogue.add(newest(kept).model_copy(update={"problem": "rows are missing"}))
    before = kept.files()
    done = kept.command("prune")
    assert (done.exit_code, "rows are missing" in done.output) == (1, True)
    assert kept.files() == before


def test_an_unreadable_entry_stops_retention(kept: Backups) -> None:
    """It may be that of the newest."""
    (kept.folder / f"{newest(kept).name}.json").write_text("{")
    before = kept.files()
    for arguments in (("list",), ("prune",), ("verify", "--all")):
        done = kept.command(*arguments)
        assert (done.exit_code, "cannot be read" in done.output) == (1, True)
    assert kept.files() == before


def test_a_file_without_a_catalog_entry_is_reported_and_kept(kept: Backups) -> None:
    """Until an operator says otherwise."""
    stray = kept.folder / "shop_20260101_020000.dump.zst"
    stray.write_bytes(b"x")
    listed = kept.command("list")
    assert (listed.exit_code, stray.name in listed.output) == (1, True)
    assert kept.command("verify", "--all").exit_code == 1
    assert kept.command("prune").exit_code == 0
    assert stray.exists()
    assert kept.command("prune", "--unlisted").exit_code == 0
    assert not stray.exists()
    assert kept.command("list").exit_code == 0


class TestKeys:
    """Encrypted backups and keys that do not fit."""

    @pytest.fixture
    def encrypted(self, kept: Backups, tmp_path: Path) -> Backups:
        """Give an encrypted backup."""
        with_key = kept.using(
            recipients_file=str(tmp_path / "to"), identity_file=str(tmp_path / "me")
        )
        identity = pyrage.x25519.Identity.generate()
        (tmp_path / "to").write_text(str(identity.to_public()))
        (tmp_path / "me").write_text(str(identity))
        with_key.make()
        return with_key

    def test_a_wrong_key_is_refused(self, encrypted: Backups, tmp_path: Path) -> None:
        """The file is sound, and the error says that the key is what does not fit."""
        (tmp_path / "me").write_text(str(pyrage.x25519.Identity.generate()))
        with pytest.raises(OperationError, match="IDENTITY_FILE") as caught:
            encrypted.plain(newest(encrypted))
        assert caught.value.kind == "not_decryptable"

    def test_a_missing_key_is_reported(self, encrypted: Backups) -> None:
        """The setting is named."""
        with pytest.raises(OperationError, match="IDENTITY_FILE") as caught:
            encrypted.using(identity_file="").plain(newest(encrypted))
        assert caught.value.kind == "not_decryptable"

    @pytest.mark.parametrize("content", ["", "AGE-SECRET-KEY-1OOPS", "-----BEGIN X", "\udcff"])
    def test_an_invalid_key_is_refused(
        self, encrypted: Backups, tmp_path: Path, content: str
    ) -> None:
        """What the file says stays out of the error: it may be a key after all."""
        (tmp_path / "me").write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(OperationError) as caught:
            encrypted.plain(newest(encrypted))
        assert caught.value.kind == "keys_unreadable"
        assert "OOPS" not in str(caught.value)

    def test_a_missing_extra_is_reported(
        self, encrypted: Backups, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error says what to install."""
        monkeypatch.setitem(sys.modules, "pyrage", None)
        for call in (encrypted.make, lambda: encrypted.plain(newest(encrypted))):
            with pytest.raises(OperationError, match=r"template-service\[encryption\]") as caught:
                call()
            assert caught.value.kind == "extra_missing"

    @pytest.mark.parametrize(
        ("damage", "kind"),
        [(lambda path: flipped(path, 0.7), "checksum_mismatch"), (cut, "truncated")],
    )
    def test_damage_is_not_reported_as_a_wrong_key(
        self, encrypted: Backups, damage: Callable[[Path], None], kind: str
    ) -> None:
        """The checksum of what is stored decides."""
        entry = newest(encrypted)
        damage(encrypted.folder / entry.dump.name)
        with pytest.raises(OperationError) as caught:
            encrypted.plain(entry)
        assert caught.value.kind == kind
        with pytest.raises(OperationError) as caught:
            verify(
                encrypted.catalogue.store,
                entry,
                encrypted.using(identity_file="").policy,
                encrypted.client.programs,
            )
        assert caught.value.kind == kind

    def test_the_checksum_is_verified_when_a_reader_stops_early(self, encrypted: Backups) -> None:
        """Nothing hangs, and the checksum is looked at all the same."""
        entry = newest(encrypted)
        with reader(encrypted.catalogue.store, entry.dump, encrypted.policy) as plain:
            assert plain.read(5) == b"PGDMP"
        flipped(encrypted.folder / entry.dump.name, 1)
        with (
            pytest.raises(OperationError) as caught,
            reader(encrypted.catalogue.store, entry.dump, encrypted.policy) as plain,
        ):
            plain.read(5)
        assert caught.value.kind == "checksum_mismatch"
