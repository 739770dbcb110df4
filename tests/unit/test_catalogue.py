"""The catalogue and a folder as its store, without any database."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.backup.catalogue import Catalogue, Entry, StoredFile, TableFacts, open_store
from db.backup.store import DirectoryStore
from db.errors import OperationError

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Give the catalogue of a folder that does not exist yet."""
    return Catalogue(open_store(str(tmp_path / "a" / "backups")))


def added(catalogue: Catalogue, name: str, *, age: float = 0, **fields: object) -> Entry:
    """Add a backup with a file of 3 bytes, made some days ago."""
    catalogue.store.write(f"{name}.dump.zst", b"abc")
    file = StoredFile(name=f"{name}.dump.zst", part="dump", size=3, sha256="0" * 64)
    made = NOW - timedelta(days=age)
    entry = Entry.model_validate(
        {
            "name": name,
            "contents": "full",
            "form": "custom",
            "started_at": made,
            "finished_at": made,
            "database": "shop",
            "server_version": "18.6",
            "client_version": "18.6",
            "encrypted": False,
            "files": [file],
            "tables": {"templates": TableFacts(rows=2, digest="-7")},
        }
        | fields
    )
    catalogue.add(entry)
    return entry


def folder(catalogue: Catalogue) -> Path:
    """Return where the files are."""
    return Path(catalogue.store.target)


def test_an_added_entry_is_read_back(catalogue: Catalogue) -> None:
    """The newest first, each as it was."""
    old, new = added(catalogue, "old", age=3), added(catalogue, "new")
    assert catalogue.entries() == [new, old]
    assert catalogue.newest() == new
    assert (new.size, new.dump.name, new.roles) == (3, "new.dump.zst", None)


@pytest.mark.parametrize("name", ["old", "old.dump.zst", "old.json"])
def test_a_backup_has_the_names_of_its_files(catalogue: Catalogue, name: str) -> None:
    """An operator copies what `ls` shows."""
    old = added(catalogue, "old", age=1)
    added(catalogue, "new")
    assert catalogue.get(name) == old


def test_an_unknown_name_lists_the_existing_ones(catalogue: Catalogue) -> None:
    """The error names those that are."""
    added(catalogue, "monday")
    with pytest.raises(OperationError, match="monday") as caught:
        catalogue.get("tuesday")
    assert caught.value.kind == "backup_not_found"
    with pytest.raises(OperationError) as caught:
        catalogue.newest("schema")
    assert caught.value.kind == "backup_not_found"


def test_an_empty_store_has_no_backups(catalogue: Catalogue) -> None:
    """And is not made by looking."""
    assert (catalogue.entries(), catalogue.problems(), catalogue.strays()) == ([], [], [])
    assert not folder(catalogue).exists()


def test_an_update_replaces_the_entry(catalogue: Catalogue) -> None:
    """As a drill does."""
    entry = added(catalogue, "one")
    proved = entry.model_copy(update={"verified_at": NOW})
    catalogue.add(proved)
    assert catalogue.entries() == [proved]


def test_backup_files_are_readable_by_their_owner_only(catalogue: Catalogue) -> None:
    """Roles and customers' texts are in them."""
    added(catalogue, "one")
    assert folder(catalogue).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder(catalogue).iterdir()} == {0o600}


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    """Its owner may have shared it."""
    tmp_path.chmod(0o750)
    added(Catalogue(DirectoryStore(tmp_path)), "one")
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_a_removed_backup_leaves_nothing(catalogue: Catalogue) -> None:
    """And the others stay."""
    gone, kept = added(catalogue, "gone"), added(catalogue, "kept")
    catalogue.remove(gone)
    assert catalogue.entries() == [kept]
    assert catalogue.problems() == []


class Cut(DirectoryStore):
    """A store whose machine dies after some deletions."""

    left = 0

    def delete(self, name: str) -> None:
        """Delete, or die."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().delete(name)


@pytest.mark.parametrize("deletions", [0, 1])
def test_an_interrupted_removal_is_finished_by_the_next(tmp_path: Path, deletions: int) -> None:
    """What is left is an entry that says what was there, never a file nobody knows."""
    store = Cut(tmp_path)
    catalogue = Catalogue(store)
    entry = added(catalogue, "gone")
    store.left = deletions
    with pytest.raises(KeyboardInterrupt):
        catalogue.remove(entry)
    assert catalogue.strays() == []
    assert [left.name for left in catalogue.missing()] == ["gone"][:deletions]
    store.left = 9
    catalogue.remove(entry)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "object"),
        ('{"name": "one"}', "required"),
        (None, "it is the entry of one"),
    ],
    ids=["empty", "cut off", "a list", "without the rest", "of another backup"],
)
def test_an_unreadable_entry_is_a_problem(
    catalogue: Catalogue, content: str | None, message: str
) -> None:
    """It is named, the others are still there, and its files are not called strays."""
    good = added(catalogue, "one")
    added(catalogue, "two")
    sidecar = folder(catalogue) / "two.json"
    sidecar.write_text((folder(catalogue) / "one.json").read_text() if content is None else content)
    assert catalogue.entries() == [good]
    (problem,) = catalogue.problems()
    assert (problem.kind, message in problem.message, "two.json" in problem.message) == (
        "entry_unreadable",
        True,
        True,
    )
    with pytest.raises(OperationError) as caught:
        catalogue.get("two")
    assert caught.value.kind == "entry_unreadable"


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_backup_has_is_a_problem(catalogue: Catalogue, time: str) -> None:
    """In UTC it has no date."""
    entry = added(catalogue, "one")
    sidecar = folder(catalogue) / "one.json"
    facts = json.loads(sidecar.read_text()) | {"started_at": time}
    sidecar.write_text(json.dumps(facts))
    assert catalogue.entries() == []
    (problem,) = catalogue.problems()
    assert problem.kind == "entry_unreadable"
    assert f"{entry.name}.json cannot be read: started_at" in problem.message


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", ".hidden", "a/b", ""])
def test_an_entry_cannot_name_a_file_elsewhere(catalogue: Catalogue, name: str) -> None:
    """It would be read, or deleted."""
    added(catalogue, "one")
    sidecar = folder(catalogue) / "one.json"
    sidecar.write_text(sidecar.read_text().replace("one.dump.zst", name))
    assert [problem.kind for problem in catalogue.problems()] == ["entry_unreadable"]


def test_an_entry_without_its_file_is_a_problem(catalogue: Catalogue) -> None:
    """The file is named."""
    entry = added(catalogue, "one")
    (folder(catalogue) / "one.dump.zst").unlink()
    assert catalogue.missing() == [entry]
    (problem,) = catalogue.problems()
    assert (problem.kind, "one.dump.zst" in problem.message) == ("missing_file", True)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"ab", "truncated"), (b"abcd", "checksum_mismatch")]
)
def test_a_file_of_another_size_is_a_problem(
    catalogue: Catalogue, content: bytes, kind: str
) -> None:
    """Told without reading it."""
    added(catalogue, "one")
    (folder(catalogue) / "one.dump.zst").write_bytes(content)
    assert [problem.kind for problem in catalogue.problems()] == [kind]


def test_a_file_without_an_entry_is_a_problem(catalogue: Catalogue) -> None:
    """A backup that died before its entry was written, or an entry that was lost."""
    added(catalogue, "one")
    (folder(catalogue) / "one.json").unlink()
    assert catalogue.entries() == []
    assert catalogue.strays() == ["one.dump.zst"]
    assert [problem.kind for problem in catalogue.problems()] == ["unlisted_file"]


@pytest.mark.parametrize(("hours", "left"), [(23, []), (25, ["x.dump.zst.partial"])])
def test_an_unfinished_file_is_a_leftover_after_a_day(
    catalogue: Catalogue, hours: float, left: list[str]
) -> None:
    """Before that somebody may still write to it."""
    added(catalogue, "one")
    partial = folder(catalogue) / "x.dump.zst.partial"
    partial.write_bytes(b"x")
    then = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(partial, (then, then))
    assert catalogue.strays() == left


def test_an_unsupported_target_is_refused() -> None:
    """The error says what was expected."""
    with pytest.raises(OperationError, match="s3://") as caught:
        open_store("ftp://host/backups")
    assert caught.value.kind == "target_unknown"


def test_a_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    """For root too: a file is in its way."""
    (tmp_path / "file").touch()
    store = open_store(str(tmp_path / "file" / "backups"))
    with pytest.raises(OperationError) as caught:
        store.workspace()
    assert caught.value.kind == "target_unwritable"
    with pytest.raises(OperationError) as caught:
        store.names()
    assert caught.value.kind == "target_unreadable"
