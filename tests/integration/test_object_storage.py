"""Backups in object storage, over HTTP to an S3 server."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from db.backup.catalogue import open_store
from db.backup.object_store import ObjectStore
from db.backup.prune import prune
from db.backup.verify import verify
from db.errors import OperationError
from tests.factories import templates
from tests.support.dumps import Backups, backups, facts, s3_bucket, wrapped
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks
from worker.local import LocalStack

NOW = datetime.now(UTC)
BUCKET = "shop-backups"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """Give a bucket, which every client of S3 in this process is led to."""
    with s3_bucket(BUCKET) as bucket:
        yield bucket


@pytest.fixture
def stored(
    servers: LocalStack, tasks: Tasks, bucket: None, request: pytest.FixtureRequest, tmp_path: Path
) -> Backups:
    """Give a prefix of the test's own, and a scratch folder that can be looked at."""
    templates.published(tasks)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    prefix = f"s3://{BUCKET}/{request.node.name}/daily"
    return backups(servers, tmp_path).using(target=prefix, scratch=str(scratch))


@pytest.fixture
def objects(bucket: Any) -> Callable[[], list[str]]:  # noqa: ANN401 - boto3 ships no types
    """Give the keys of all objects, as another client sees them."""
    return lambda: [item.key for item in bucket.objects.all()]


def test_a_backup_in_object_storage_can_be_read_back(
    objects: Callable[[], list[str]], servers: LocalStack, stored: Backups
) -> None:
    """Its three objects, and no file stays on this machine."""
    entry = stored.make()
    prefix = stored.policy.target.removeprefix(f"s3://{BUCKET}/")
    names = [file.name for file in entry.files] + [f"{entry.name}.json"]
    assert {key for key in objects() if key.startswith(prefix)} == {
        f"{prefix}/{name}" for name in names
    }
    assert not [path for path in Path(stored.policy.scratch).rglob("*") if path.is_file()]
    assert entry.tables == facts(servers.postgres.url)
    assert verify(stored.catalogue.store, entry, stored.policy, stored.client.programs).opened
    assert stored.catalogue.entries() == [entry]
    assert stored.plain(entry).startswith(b"PGDMP")


def test_a_large_file_is_uploaded_in_parts_and_streamed(stored: Backups, tmp_path: Path) -> None:
    """Neither way is it held as a whole."""
    store = stored.catalogue.store
    content = bytes(range(256)) * 4096 * 20
    path = store.workspace() / "large.partial"
    path.write_bytes(content)
    store.put(path, "large")
    assert not path.exists()
    with store.open("large") as file:
        first = file.read(1000)
        rest = b"".join(iter(lambda: file.read(1 << 20), b""))
    assert first + rest == content
    assert store.names() == {"large": len(content)}


@pytest.mark.parametrize("size", [10, 20_000_000])
def test_an_object_is_created_once(stored: Backups, size: int) -> None:
    """Of machines that choose one name, the first succeeds: If-None-Match.

    One after the other: moto looks for an object and stores it in two steps.
    """
    store = stored.catalogue.store
    assert isinstance(store, ObjectStore)
    paths = [store.workspace() / f"{number}.partial" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * size)

    def put(path: Path) -> bool:
        try:
            store.put(path, "one")
        except OperationError as error:
            assert error.kind == "file_exists"  # noqa: PT017 - others succeed
            return False
        return True

    assert [put(path) for path in paths] == [True, False, False, False]
    with store.open("one") as file:
        assert file.read() == bytes(size)
    with pytest.raises(OperationError):
        store.write("one", b"", is_new=True)


def test_a_server_without_conditional_writes_is_asked_first(
    stored: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 501, and a copied backup is still not replaced."""
    put = obstore.put

    def refuse(*arguments: Any, mode: str | None = None, **options: Any) -> object:  # noqa: ANN401 - obstore's
        if mode == "create":
            raise GenericError("501: <Code>NotImplemented</Code>")
        return put(*arguments, **options)

    monkeypatch.setattr(obstore, "put", refuse)
    store = stored.catalogue.store
    store.write("one", b"first", is_new=True)
    with pytest.raises(OperationError) as caught:
        store.write("one", b"second", is_new=True)
    assert caught.value.kind == "file_exists"


def test_commands_and_task_work_with_object_storage(tasks: Tasks, stored: Backups) -> None:
    """They see no difference."""
    old = stored.make(now=NOW - timedelta(days=9))
    with stored.as_settings():
        answer = tasks.call("maintenance.backup")
    assert answer["expired"] == [old.name]
    listed = json.loads(stored.command("list", "--json").output)
    assert [entry["name"] for entry in listed["backups"]] == [answer["backup"]]
    assert stored.command("verify").exit_code == 0
    assert stored.command("cat", answer["backup"]).stdout_bytes.startswith(b"PGDMP")


def test_a_damaged_object_is_reported_and_stops_retention(stored: Backups) -> None:
    """As in a folder."""
    old = stored.make(now=NOW - timedelta(days=9))
    entry = stored.make()
    content = bytearray(stored.catalogue.store.open(entry.dump.name).read())
    content[len(content) // 2] ^= 1
    stored.catalogue.store.write(entry.dump.name, bytes(content))
    with pytest.raises(OperationError) as caught:
        prune(stored.policy, stored.client.programs, source=stored.source, now=NOW)
    assert caught.value.kind == "checksum_mismatch"
    stored.catalogue.store.delete(entry.dump.name)
    with pytest.raises(OperationError) as caught:
        prune(stored.policy, stored.client.programs, source=stored.source, now=NOW)
    assert caught.value.kind == "missing_file"
    assert [problem.kind for problem in stored.catalogue.problems()] == ["missing_file"]
    assert stored.catalogue.get(old.name) == old


def test_a_failed_dump_leaves_no_objects(
    objects: Callable[[], list[str]], stored: Backups, tmp_path: Path
) -> None:
    """Neither there nor here."""
    kept = stored.make()
    programs = wrapped(tmp_path / "bin", pg_dump="exit 1")
    before = objects()
    with pytest.raises(OperationError):
        dataclasses.replace(
            stored, client=dataclasses.replace(stored.client, programs=programs)
        ).make()
    assert objects() == before
    assert stored.catalogue.entries() == [kept]
    assert not [path for path in Path(stored.policy.scratch).rglob("*") if path.is_file()]


def test_a_missing_bucket_is_reported(tasks: Tasks, stored: Backups) -> None:
    """With the server's message, and what to check."""
    broken = stored.using(target="s3://nobody-has-this/daily")
    with pytest.raises(OperationError, match="NoSuchBucket") as caught:
        broken.make()
    assert caught.value.kind in {"target_unreadable", "target_unwritable"}
    assert "AWS_" in caught.value.remedy or "BACKUP_TARGET" in caught.value.remedy
    done = broken.command("create")
    assert (done.exit_code, "NoSuchBucket" in done.output) == (1, True)
    with broken.as_settings(), pytest.raises(RefusedError) as refused:
        tasks.call("maintenance.backup")
    assert refused.value.code == "maintenance_failed"
    with pytest.raises(OperationError, match="NoSuchBucket") as caught:
        broken.catalogue.store.write("x", b"x")
    assert caught.value.kind == "target_unwritable"


def test_an_unreachable_server_is_reported(
    stored: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told within seconds, in one sentence."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(OperationError) as caught:
        stored.catalogue.entries()
    assert caught.value.kind == "target_unreadable"
    assert "\n" not in caught.value.message


def test_plain_http_must_be_enabled_explicitly(
    stored: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dumps and keys would travel for everyone to read."""
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(OperationError):
        stored.catalogue.entries()


def test_a_missing_temporary_directory_is_reported(stored: Backups, tmp_path: Path) -> None:
    """Its setting is named."""
    broken = stored.using(scratch=str(tmp_path / "nowhere"))
    with pytest.raises(OperationError, match="SCRATCH_DIRECTORY") as caught:
        broken.make()
    assert caught.value.kind == "scratch_unwritable"


def test_the_temporary_directory_is_removed_with_its_store(stored: Backups) -> None:
    """A worker makes one a day, for years."""
    store = open_store(stored.policy.target, stored.policy.scratch)
    assert isinstance(store, ObjectStore)
    assert store.workspace().is_dir()
    del store
    assert list(Path(stored.policy.scratch).iterdir()) == []


def test_a_missing_extra_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "db.backup.object_store")
    with pytest.raises(OperationError, match=r"template-service\[object-storage\]") as caught:
        open_store("s3://bucket/prefix")
    assert caught.value.kind == "extra_missing"
