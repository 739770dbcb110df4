"""What can be wrong with a backup, and that the drill finds each of it."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, LiteralString

import psycopg
import pytest

from db.addresses import Database
from db.backup.catalogue import Catalogue, Entry, Form, open_store
from db.backup.create import create
from db.backup.databases import administering
from db.backup.drill import Clusters, drill
from db.backup.policy import BackupPolicy
from db.backup.prune import prune
from db.backup.source import Source
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.errors import OperationError
from db.monitoring.ages import last_verified
from tasks.configuration import Configuration
from tasks.runtime import Runtime
from tasks.services.drills import render_newest
from tests.support.archives import plain, resealed
from tests.support.drills import shared_cluster
from tests.support.sample_databases import SampleDatabase, copy_of, sample_database
from worker.local import LocalStack

FORMS: Final[tuple[Form, ...]] = ("custom", "plain")
KEPT_DAYS: Final = 7


@dataclass(frozen=True)
class Store:
    """A place with one old backup that has expired, and a new one to damage."""

    catalogue: Catalogue
    policy: BackupPolicy
    entry: Entry
    source: SampleDatabase

    def path(self, part: str = "dump") -> Path:
        """Return a file of the new backup; ``entry`` is its sidecar."""
        names = {file.part: file.name for file in self.entry.files}
        return Path(self.policy.target) / (names | {"entry": f"{self.entry.name}.json"})[part]

    def note(self, **changes: object) -> None:
        """Change what the catalogue says of it."""
        self.catalogue.add(self.entry.model_copy(update=changes))

    def fact(self, table: str, **changes: object) -> None:
        """Change what the catalogue says of one table."""
        facts = self.entry.tables[table].model_copy(update=changes)
        self.note(tables=self.entry.tables | {table: facts})

    def seal(self, change: Callable[[bytes], bytes], part: str = "dump") -> None:
        """Change what is in a file, with a seal that fits."""
        resealed(self.catalogue, self.entry, change, part)

    def swap(self, change: LiteralString) -> None:
        """Replace the dump by one of a changed database, with a seal that fits."""
        with copy_of(self.source) as other:
            other.run(change)
            elsewhere = replace(self.policy, target=f"{self.policy.target}-other")
            made = create(other.client, elsewhere, form=self.entry.form)
        dump = plain(Catalogue(open_store(elsewhere.target)), made.dump)
        self.seal(lambda _: dump)

    def make(self, change: LiteralString) -> None:
        """Replace it by a true backup of a changed database."""
        with copy_of(self.source) as other:
            other.run(change)
            self.catalogue.remove(self.entry)
            made = create(other.client, self.policy, form=self.entry.form)
        object.__setattr__(self, "entry", made)


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give the database that the backups are made of; nobody changes it."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clusters, PrivateCluster]]:
    """Give a server that the drills share: what is damaged here is never the server."""
    with shared_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def good(
    source: SampleDatabase, tmp_path_factory: pytest.TempPathFactory
) -> dict[Form, BackupPolicy]:
    """Make, in each form, a place with two backups, of which the older one has expired."""
    policies = {}
    for form in FORMS:
        policy = BackupPolicy(
            target=str(tmp_path_factory.mktemp(form)), keep_days=KEPT_DAYS, keep_verified=1
        )
        long_ago = datetime.now(UTC) - timedelta(days=KEPT_DAYS, hours=1)
        with copy_of(source) as before:
            before.run("DELETE FROM templates WHERE template_id = 'welcome-4'")
            old = create(before.client, policy, form=form, now=long_ago)
        changes = {"verified_at": long_ago, "database": source.name}
        Catalogue(open_store(policy.target)).add(old.model_copy(update=changes))
        create(source.client, policy, form=form)
        policies[form] = policy
    return policies


@pytest.fixture(scope="module")
def process(source: SampleDatabase) -> Iterator[Runtime]:
    """Give what renders."""
    process = Runtime(Configuration(Database(url=source.url)))
    yield process
    process.close()


@pytest.fixture
def store(
    request: pytest.FixtureRequest,
    good: dict[Form, BackupPolicy],
    source: SampleDatabase,
    tmp_path: Path,
) -> Store:
    """Copy a place, so that one test may damage it."""
    policy = good[request.param]
    own = replace(policy, target=str(tmp_path / "backups"))
    shutil.copytree(policy.target, own.target)
    catalogue = Catalogue(open_store(own.target))
    return Store(catalogue, own, catalogue.newest(), source)


@pytest.fixture
def hold(shared: tuple[Clusters, PrivateCluster], process: Runtime) -> Callable[[Store], object]:
    """Give a function that holds a drill with all that belongs to it."""

    def render(connection: psycopg.Connection) -> list[str]:
        return render_newest(connection, process)

    return lambda store: drill(Programs.chosen(), store.policy, render=render, clusters=shared[0])


def flipped(store: Store, part: str = "dump", place: float = 0.5) -> None:
    """Flip one bit of a file; ``place`` is from 0, its start, to 1, its end."""
    content = bytearray(store.path(part).read_bytes())
    content[min(int(place * len(content)), len(content) - 1)] ^= 1
    store.path(part).write_bytes(content)


def cut(store: Store, part: str = "dump", keep: float = 0.5) -> None:
    """Truncate a file."""
    content = store.path(part).read_bytes()
    store.path(part).write_bytes(content[: min(int(keep * len(content)), len(content) - 1)])


def without(pattern: bytes) -> Callable[[bytes], bytes]:
    """Return a function that removes the first place where ``pattern`` is, which there must be."""

    def remove(content: bytes) -> bytes:
        changed, count = re.subn(pattern, b"", content, count=1)
        assert count == 1
        return changed

    return remove


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a function that puts ``new`` in the first place of ``old``, which there must be."""

    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def other_file(store: Store) -> None:
    """Put the older backup's dump in its place."""
    older = store.catalogue.entries()[-1]
    assert older.name != store.entry.name
    shutil.copy(Path(store.policy.target) / older.dump.name, store.path())


def renamed_to_encrypted(store: Store) -> None:
    """Give the dump the name of an encrypted one, in the entry too."""
    name = f"{store.path().name}.age"
    store.path().rename(store.path().with_name(name))
    renamed = {"dump": {"name": name}}
    store.note(
        files=tuple(
            file.model_copy(update=renamed.get(file.part, {})) for file in store.entry.files
        )
    )


FILES: Final[dict[str, tuple[Callable[[Store], object], set[str]]]] = {
    "first byte flipped": (partial(flipped, place=0), {"checksum_mismatch"}),
    "a byte in the middle flipped": (partial(flipped, place=0.5), {"checksum_mismatch"}),
    "last byte flipped": (partial(flipped, place=1), {"checksum_mismatch"}),
    "last byte missing": (partial(cut, keep=1), {"truncated"}),
    "half of it missing": (partial(cut, keep=0.5), {"truncated"}),
    "empty": (partial(cut, keep=0), {"truncated"}),
    "missing": (lambda store: store.path().unlink(), {"missing_file"}),
    "another backup's file": (other_file, {"checksum_mismatch", "truncated"}),
    "garbage after the end": (
        lambda store: store.path().write_bytes(store.path().read_bytes() + b"\0"),
        {"checksum_mismatch"},
    ),
    "zeros of the same size": (
        lambda store: store.path().write_bytes(bytes(store.entry.dump.size)),
        {"checksum_mismatch"},
    ),
    "roles flipped": (partial(flipped, part="roles"), {"checksum_mismatch"}),
    "roles cut": (partial(cut, part="roles"), {"truncated"}),
    "roles missing": (lambda store: store.path("roles").unlink(), {"missing_file"}),
    "roles not in the entry": (
        lambda store: store.note(files=(store.entry.dump,)),
        {"missing_file"},
    ),
    "checksum in the entry changed": (
        lambda store: store.note(
            files=tuple(file.model_copy(update={"sha256": "0" * 64}) for file in store.entry.files)
        ),
        {"checksum_mismatch"},
    ),
    "entry says that it is encrypted": (renamed_to_encrypted, {"not_decryptable"}),
}
"""Found before a server is started."""

CONTENTS: Final[dict[str, tuple[Callable[[Store], object], set[str]]]] = {
    "rows in the entry changed": (
        lambda store: store.fact("templates", rows=6),
        {"contents_differ"},
    ),
    "digest in the entry changed": (
        lambda store: store.fact("templates", digest="1"),
        {"contents_differ"},
    ),
    "a table less in the entry": (
        lambda store: store.note(
            tables={key: facts for key, facts in store.entry.tables.items() if key != "templates"}
        ),
        {"contents_differ"},
    ),
    "another revision in the entry": (
        lambda store: store.note(revision="0001"),
        {"revision_differs"},
    ),
    "a row less": (
        lambda store: store.swap("DELETE FROM idempotency_records WHERE key = 'a'"),
        {"contents_differ"},
    ),
    "a row more": (
        lambda store: store.swap(
            "INSERT INTO templates (template_id, name, type) VALUES ('x', 'X', 'sms')"
        ),
        {"contents_differ"},
    ),
    "a cell changed": (
        lambda store: store.swap(
            "UPDATE templates SET name = 'Wunsche 1' WHERE template_id = 'welcome-1'"
        ),
        {"contents_differ"},
    ),
    "no current version": (
        lambda store: store.swap("UPDATE template_versions SET is_current = false"),
        {"contents_differ"},
    ),
    "a translation gone": (
        lambda store: store.swap("DELETE FROM template_translations WHERE language_code = 'fr'"),
        {"contents_differ"},
    ),
    "a table emptied": (
        lambda store: store.swap("TRUNCATE template_partials"),
        {"contents_differ"},
    ),
    "a table missing": (
        lambda store: store.swap("DROP TABLE template_partials"),
        {"contents_differ"},
    ),
    "an older revision": (
        lambda store: store.swap("UPDATE alembic_version SET version_num = '0001'"),
        {"contents_differ"},
    ),
    "an index missing": (
        lambda store: store.swap("DROP INDEX idx_templates_category"),
        {"schema_differs"},
    ),
    "an index no longer unique": (
        lambda store: store.swap(
            "DROP INDEX uq_template_versions_one_current; CREATE INDEX"
            " uq_template_versions_one_current ON template_versions (template_id) WHERE is_current"
        ),
        {"schema_differs"},
    ),
    "an invalid index": (
        # pg_dump leaves those out: the database that was dumped had it, and its dump does not.
        lambda store: store.make(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'idx_template_versions_is_current'::regclass"
        ),
        {"schema_differs"},
    ),
    "a check missing": (
        lambda store: store.swap(
            "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE templates DROP CONSTRAINT ' ||"
            " quote_ident(conname) FROM pg_constraint WHERE conrelid = 'templates'::regclass"
            " AND contype = 'c'); END $$"
        ),
        {"schema_differs"},
    ),
    "a foreign key missing": (
        lambda store: store.swap(
            "ALTER TABLE template_partials"
            " DROP CONSTRAINT fk_template_partials_partial_id_templates"
        ),
        {"schema_differs"},
    ),
    "a primary key missing": (
        lambda store: store.swap(
            "ALTER TABLE template_partials DROP CONSTRAINT pk_template_partials"
        ),
        {"schema_differs"},
    ),
    "a default missing": (
        lambda store: store.swap("ALTER TABLE template_versions ALTER variables DROP DEFAULT"),
        {"schema_differs"},
    ),
    "a column of another type": (
        lambda store: store.swap("ALTER TABLE templates ALTER name TYPE text"),
        {"schema_differs"},
    ),
    "a template that does not compile": (
        lambda store: store.make("UPDATE template_versions SET body = '{% if %}' WHERE is_current"),
        {"render_failed"},
    ),
    "roles that are not JSON": (
        lambda store: store.seal(lambda roles: b"CREATE ROLEX y;\n" + roles, "roles"),
        {"archive_unreadable"},
    ),
    "roles without the tables' owner": (
        lambda store: store.seal(lambda _: b"{}", "roles"),
        {"roles_missing"},
    ),
    "roles without their end": (
        lambda store: store.seal(lambda roles: roles[: len(roles) // 2], "roles"),
        {"archive_unreadable"},
    ),
}
"""Found by a restore, whatever checksums say."""

ARCHIVES: Final[dict[str, tuple[Form, Callable[[bytes], bytes], set[str]]]] = {
    "an archive of a newer version": (
        "custom",
        lambda dump: dump[:6] + bytes([dump[6] + 1]) + dump[7:],
        {"archive_unreadable"},
    ),
    "no archive at all": ("custom", lambda dump: b"x" * len(dump), {"archive_unreadable"}),
    "half an archive": (
        "custom",
        lambda dump: dump[: len(dump) // 2],
        {"archive_unreadable", "restore_failed"},
    ),
    "an archive with a letter changed": (
        "custom",
        replaced("Wünsche 1".encode(), b"Wunsche 12"),
        {"contents_differ"},
    ),
    "SQL without its last line": (
        "plain",
        without(rb"--\n-- PostgreSQL database dump complete\n--\n"),
        {"archive_unreadable"},
    ),
    "half of the SQL": ("plain", lambda dump: dump[: len(dump) // 2], {"archive_unreadable"}),
    "SQL with a row less": ("plain", without(rb"(?m)^.*\twelcome-3\t.*\n"), {"restore_failed"}),
    "SQL with a statement that fails": (
        "plain",
        replaced(b"\nCREATE TABLE ", b"\nSELECT 1/0;\nCREATE TABLE "),
        {"restore_failed"},
    ),
}
"""Found by pg_restore, psql or a comparison, whatever checksums say."""


def require_found(store: Store, hold: Callable[[Store], object], kinds: set[str]) -> None:
    """Hold a drill that must fail, and look at what it leaves."""
    with pytest.raises(OperationError) as caught:
        hold(store)
    assert caught.value.kind in kinds, caught.value
    noted = store.catalogue.get(store.entry.name)
    assert noted.verified_at is None
    assert noted.problem == f"{caught.value.kind}: {caught.value.message}"
    # The error contains neither rows nor values.
    assert "Wünsche" not in str(caught.value)
    require_kept(store)


def origin(entry: Entry) -> Source:
    """Return the database that a backup is of."""
    return Source(entry.system, entry.database)


def require_kept(store: Store) -> None:
    """Retention deletes nothing while the newest backup is not sound."""
    before = store.catalogue.store.names()
    with pytest.raises(OperationError):
        prune(store.policy, Programs.chosen(), source=origin(store.entry), now=datetime.now(UTC))
    assert store.catalogue.store.names() == before


def test_the_tests_cover_more_than_twenty_kinds_of_damage() -> None:
    """Each is another one."""
    assert len(FILES) + len(CONTENTS) + len(ARCHIVES) > 45


@pytest.mark.parametrize("store", FORMS, indirect=True)
def test_an_intact_backup_passes_and_retention_continues(
    store: Store, hold: Callable[[Store], object]
) -> None:
    """What the tests below compare with: without damage the old backup is deleted."""
    hold(store)
    noted = store.catalogue.get(store.entry.name)
    assert (noted.problem, noted.verified_at) == (None, last_verified(store.catalogue.entries()))
    done = prune(store.policy, Programs.chosen(), source=origin(store.entry), now=datetime.now(UTC))
    assert len(done.deleted) == 1


@pytest.mark.parametrize("damage", FILES)
@pytest.mark.parametrize("store", ["custom"], indirect=True)
def test_a_damaged_file_fails_the_drill_before_it_is_restored(store: Store, damage: str) -> None:
    """Before any of it reaches a program that would run it: no server is started."""
    change, kinds = FILES[damage]
    change(store)

    def no_server(_: Programs, __: Path) -> PrivateCluster:
        raise AssertionError("a server was started")

    def hold(store: Store) -> object:
        return drill(Programs.chosen(), store.policy, render=lambda _: [], clusters=no_server)

    require_found(store, hold, kinds)


@pytest.mark.parametrize("damage", CONTENTS)
@pytest.mark.parametrize("store", ["custom"], indirect=True)
def test_different_contents_fail_the_drill(
    store: Store,
    hold: Callable[[Store], object],
    shared: tuple[Clusters, PrivateCluster],
    damage: str,
) -> None:
    """Although every checksum fits."""
    change, kinds = CONTENTS[damage]
    change(store)
    if "roles_missing" in kinds:
        # An earlier drill made it: a server of its own would not have it.
        owner = store.source.one("SELECT current_user")
        with administering(shared[1].url()) as admin:
            admin.execute(f"DROP ROLE IF EXISTS {owner}".encode())
    require_found(store, hold, kinds)


@pytest.mark.parametrize(
    ("store", "damage"), [(form, name) for name, (form, *_) in ARCHIVES.items()], indirect=["store"]
)
def test_a_different_archive_fails_the_drill(
    store: Store, hold: Callable[[Store], object], damage: str
) -> None:
    """Although its checksum fits."""
    _, change, kinds = ARCHIVES[damage]
    store.seal(change)
    require_found(store, hold, kinds)


@pytest.mark.parametrize("store", ["custom"], indirect=True)
def test_a_wrong_key_fails_the_drill(
    store: Store, hold: Callable[[Store], object], tmp_path: Path
) -> None:
    """An encrypted backup that nobody can read is none."""
    pyrage = pytest.importorskip("pyrage")
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    (tmp_path / "recipients").write_text(f"{keys[0].to_public()}\n")
    (tmp_path / "identity").write_text(f"{keys[1]}\n")
    policy = replace(
        store.policy,
        recipients_file=str(tmp_path / "recipients"),
        identity_file=str(tmp_path / "identity"),
    )
    entry = create(store.source.client, policy)
    require_found(replace(store, policy=policy, entry=entry), hold, {"not_decryptable"})


@pytest.mark.parametrize("store", ["custom"], indirect=True)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "other"}', b"\xff\xfe"])
def test_an_unreadable_entry_fails_the_drill(
    store: Store, hold: Callable[[Store], object], content: bytes
) -> None:
    """The older backup is not taken for the newest."""
    store.path("entry").write_bytes(content)
    with pytest.raises(OperationError) as caught:
        hold(store)
    assert caught.value.kind == "entry_unreadable"
    assert store.entry.name in caught.value.message
    require_kept(store)
