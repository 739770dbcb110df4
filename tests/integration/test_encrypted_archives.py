"""Archived WAL and base backups, encrypted and in object storage, as docs/operations.md does it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.recovery.facts import recovery_facts
from db.recovery.object_path import AnyPath
from db.recovery.object_path import replace as write
from db.recovery.packed import PACKED
from db.recovery.sealed import Sealed
from db.recovery.status import archive_problems
from tests.support.documents import blocks
from tests.support.recovery import Server, age_files, object_storage, recoverable

_EXPORT = re.compile(r"^export TEMPLATE_SERVICE_RECOVERY_(\w+)=(\S+)$", re.MULTILINE)
_FOLDER = "/etc/template-service"


@pytest.fixture(scope="module")
def document(checkout: Path) -> str:
    """Give the block about encryption and object storage."""
    document = blocks(checkout / "docs" / "operations.md")
    (text,) = (block.text for block in document if block.role == "archive")
    return text


@pytest.fixture(scope="module")
def server(document: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server of whose WAL nothing was ever stored in the directory, or unencrypted."""
    directory = tmp_path_factory.mktemp("archive")
    given = {name.lower(): value for name, value in _EXPORT.findall(document)}
    options = {name: value.replace(_FOLDER, str(directory)) for name, value in given.items()}
    for name, path in age_files(directory).items():
        Path(path).rename(options[name])
    bucket = options["target"].split("/")[2]
    with (
        object_storage(bucket, Path(options["credentials_file"])),
        recoverable(directory, **options) as server,
    ):
        server.add(10)
        server.json("base-backup")
        yield server


def test_the_documented_archive_is_encrypted_and_proved(server: Server, document: str) -> None:
    """Each command of the document succeeds, and nothing is readable without the key."""
    storage = server.policy.storage
    for line in document.splitlines():
        if line.startswith("template-service pitr "):
            done = server.call(*shlex.split(line)[2:])
            assert done.exit_code == 0, done.output
    files = [path.name for path in storage.wal.iterdir()]
    assert files
    assert all(Sealed.parse(name) or name.endswith((".backup", ".history")) for name in files)
    stored = {"backup.json", "backup_manifest", f"{PACKED}.age"}
    for folder in storage.base.iterdir():
        assert {path.name for path in folder.iterdir()} == stored
    assert not [path for path in server.policy.wal.iterdir() if not path.name.startswith(".")]
    assert recovery_facts(server.policy).drills.proved is not None
    assert server.json("status")["problems"] == []


def test_without_the_identity_names_are_checked(server: Server) -> None:
    """Gaps, incomplete files and their times; whoever has only the recipients cannot verify."""
    policy = replace(server.policy, identity_file="")
    assert archive_problems(policy) == []
    assert recovery_facts(policy).gaps == 0
    assert "IDENTITY_FILE" in server.call("verify", policy=policy).stderr
    server.json("check")
    server.json("check")
    lost = max((p for p in policy.storage.wal.iterdir() if Sealed.parse(p.name)), key=str)
    server.json("check")
    content = lost.read_bytes()
    lost.unlink()
    (problem, *_) = archive_problems(policy)
    assert f"segment {lost.name[:24]} is missing" in problem
    write(lost, content[:-1])
    (problem, *_) = archive_problems(policy)
    assert f"segment {lost.name[:24]} has {len(content) - 1} bytes" in problem
    assert recovery_facts(policy).gaps > 0
    write(lost, content)
    assert archive_problems(policy) == []


def test_a_drill_records_an_encrypted_base_backup_that_is_cut_off(server: Server) -> None:
    """It cannot be decrypted, as without the identity; that would say nothing about the archive."""
    base: AnyPath = server.policy.storage.base
    newest = base / max(path.name for path in base.iterdir())
    packed = newest / f"{PACKED}.age"
    content = packed.read_bytes()
    write(packed, content[:-1])
    done = server.call("drill")
    assert (done.exit_code, newest.name in done.stderr) == (1, True), done.output
    assert "archive_damaged" in (recovery_facts(server.policy).drills.problem or "")
    write(packed, content)


def test_expired_objects_are_removed(server: Server) -> None:
    """Base backups, each before the one it builds on, and the WAL before the oldest that stays."""
    storage = server.policy.storage
    whole = server.json("base-backup", "--full")["backup"]
    incremental = server.json("base-backup")["backup"]
    assert incremental["parent"] == whole["name"]
    oldest = min(path.name[:24] for path in storage.wal.iterdir())
    policy = replace(server.policy, keep=1)
    made = server.json("base-backup", "--full", policy=policy)
    removed = made["removed"]
    assert removed.index(incremental["name"]) < removed.index(whole["name"])
    assert [path.name for path in storage.base.iterdir()] == [made["backup"]["name"]]
    assert min(path.name[:24] for path in storage.wal.iterdir()) > oldest
