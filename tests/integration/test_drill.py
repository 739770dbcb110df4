"""The restore drill: on demand, as a task, and what it leaves behind."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict

from db import migrations
from db.addresses import Database
from db.backup.catalogue import Catalogue, Entry, open_store
from db.backup.create import create
from db.backup.drill import (
    Clusters,
    Drilled,
    drill,
    drill_directory,
    new_cluster,
    to_drill,
)
from db.backup.policy import BackupPolicy
from db.cluster.owned import OwnedDirectory
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.errors import OperationError
from db.monitoring.ages import last_verified
from tasks import runtime
from tasks.configuration import Configuration, Operations
from tasks.runtime import Runtime
from tasks.services.drills import render_newest
from tests.support.drills import shared_cluster
from tests.support.dumps import s3_bucket
from tests.support.producer import RefusedError
from tests.support.sample_databases import ROWS, TEMPLATES, SampleDatabase, copy_of, sample_database
from tests.support.tasks import Tasks
from worker.cli.backup import backup
from worker.local import LocalStack

RENDERED = {f"welcome-{number} 2" for number in range(1, TEMPLATES + 1)}


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give the database that the backups of this module are made of; nobody changes it."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Give a server that drills share."""
    with shared_cluster(tmp_path_factory.mktemp("cluster")) as (clusters, _):
        yield clusters


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test, and one for files under way."""
    (tmp_path / "scratch").mkdir()
    return BackupPolicy(target=str(tmp_path / "backups"), scratch=str(tmp_path / "scratch"))


@pytest.fixture
def process(source: SampleDatabase) -> Iterator[Runtime]:
    """Give what renders."""
    process = Runtime(Configuration(Database(url=source.url)))
    yield process
    process.close()


def catalogue(policy: BackupPolicy) -> Catalogue:
    """Return the catalogue of a place."""
    return Catalogue(open_store(policy.target))


def held(policy: BackupPolicy, clusters: Clusters, name: str | None = None) -> Drilled:
    """Hold a drill that renders nothing."""
    return drill(Programs.chosen(), policy, render=lambda _: [], name=name, clusters=clusters)


def left(policy: BackupPolicy) -> list[str]:
    """Return what is in the folder for files under way."""
    return [path.name for path in Path(policy.scratch).iterdir()]


def test_an_operator_can_run_a_drill(source: SampleDatabase, policy: BackupPolicy) -> None:
    """On a new server of its own; the catalogue then says when, and nothing else is left."""
    entry = create(source.client, policy)
    assert last_verified(catalogue(policy).entries()) is None
    before = datetime.now(UTC)
    environment = {
        "DATABASE_URL": source.url,
        "TEMPLATE_SERVICE_BACKUP_TARGET": policy.target,
        "TEMPLATE_SERVICE_SCRATCH_DIRECTORY": policy.scratch,
    }
    result = CliRunner().invoke(backup, ["drill"], env=environment)
    assert result.exit_code == 0, result.output
    assert f"{entry.name} is verified" in result.output
    assert f"migration {migrations.head()}" in result.output
    assert "compared with the migrations and by amcheck" in result.output
    rendered = result.output.partition("Rendered: ")[2].strip()
    assert set(rendered.split(", ")) == RENDERED
    noted = catalogue(policy).get(entry.name)
    assert noted.problem is None
    assert noted.verified_at is not None
    assert before <= noted.verified_at <= datetime.now(UTC)
    assert last_verified(catalogue(policy).entries()) == noted.verified_at
    assert noted.files == entry.files
    assert left(policy) == []


def test_the_scheduled_task_runs_a_drill(
    source: SampleDatabase,
    tasks: Tasks,
    policy: BackupPolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``maintenance.verify_backup``, of an encrypted plain dump; its answer is in numbers."""
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    (tmp_path / "recipients").write_text(f"{identity.to_public()}\n")
    own = replace(
        policy,
        recipients_file=str(tmp_path / "recipients"),
        identity_file=str(tmp_path / "identity"),
    )
    entry = create(source.client, own, form="plain")
    process = Runtime(Configuration(Database(url=source.url), operations=Operations(backup=own)))
    monkeypatch.setattr(runtime, "current", lambda: process)
    try:
        planned = tasks.call("maintenance.verify_backup", {"dry_run": True})
        assert (planned["dry_run"], planned["backup"]) == (True, entry.name)
        assert catalogue(policy).get(entry.name).verified_at is None
        done = tasks.call("maintenance.verify_backup")
        assert (done["dry_run"], done["backup"]) == (False, entry.name)
        assert {name: done["rows"][name] for name in ROWS} == ROWS
        assert set(done["rendered"]) == RENDERED
        assert (done["size"], done["revision"]) == (entry.size, migrations.head())
        assert done["objects"] > 60
        assert done["roles"] >= 1
        assert catalogue(policy).get(entry.name).verified_at is not None
        file = Path(policy.target) / entry.dump.name
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(RefusedError) as refused:
            tasks.call("maintenance.verify_backup")
    finally:
        process.close()
    assert refused.value.code == "maintenance_failed"
    assert [problem["type"] for problem in refused.value.details] == ["truncated"]
    assert left(policy) == []


def test_a_backup_in_object_storage_passes_the_drill(
    source: SampleDatabase,
    policy: BackupPolicy,
    clusters: Clusters,
) -> None:
    """It is read and noted there."""
    with s3_bucket("drills"):
        own = replace(policy, target="s3://drills/daily")
        entry = create(source.client, own)
        assert held(own, clusters).name == entry.name
        assert catalogue(own).get(entry.name).verified_at is not None
        assert left(own) == []


class TestBackups:
    """What is drilled, and what it takes to pass."""

    def test_a_backup_of_an_older_release_is_migrated(
        self, servers: LocalStack, policy: BackupPolicy, clusters: Clusters, process: Runtime
    ) -> None:
        """It is compared as it was, and then migrated as a restore of it would be."""
        with sample_database(servers, revision="0003") as old:
            create(old.client, policy)

        def render(connection: psycopg.Connection) -> list[str]:
            revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            assert revisions == [(migrations.head(),)]
            return render_newest(connection, process)

        done = drill(Programs.chosen(), policy, render=render, clusters=clusters)
        assert (done.revision, set(done.rendered)) == ("0003", RENDERED)

    def test_additional_indexes_and_extensions_pass_the_drill(
        self, source: SampleDatabase, policy: BackupPolicy, clusters: Clusters
    ) -> None:
        """Nor are extensions that are on the server, and an unused table."""
        with copy_of(source) as own:
            own.run("CREATE INDEX my_own ON templates (name); CREATE TABLE notes (note text)")
            own.run("CREATE EXTENSION pg_stat_statements")
            entry = create(own.client, policy)
        assert "notes" in held(policy, clusters).rows
        assert "pg_stat_statements" not in entry.tables

    def test_the_drill_uses_the_newest_full_backup_or_the_named_one(
        self, source: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """Or the one that is named, if it is a full one."""
        old = create(source.client, policy)
        new = create(source.client, policy)
        part = create(source.client, policy, contents="schema")
        assert to_drill(catalogue(policy), None) == new
        assert to_drill(catalogue(policy), old.name) == old
        with pytest.raises(OperationError) as refused:
            to_drill(catalogue(policy), part.name)
        assert refused.value.kind == "not_full"

    def test_a_successful_drill_clears_the_problem_of_an_earlier_one(
        self, source: SampleDatabase, policy: BackupPolicy, clusters: Clusters
    ) -> None:
        """What an earlier drill found is gone when the file is back."""
        entry = create(source.client, policy)
        file = Path(policy.target) / entry.dump.name
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(OperationError):
            held(policy, clusters)
        assert str(catalogue(policy).get(entry.name).problem).startswith("missing_file: ")
        file.write_bytes(content)
        held(policy, clusters)
        assert catalogue(policy).get(entry.name).problem is None

    def test_concurrent_drills_do_not_disturb_each_other(
        self, source: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """Two workers, or a worker and an operator, each with a server of their own."""
        create(source.client, policy)
        meeting = threading.Barrier(2, timeout=60)
        outcomes: list[object] = []

        def render(_: psycopg.Connection) -> list[str]:
            meeting.wait()
            return []

        def hold() -> None:
            try:
                done = drill(Programs.chosen(), policy, render=render)
                outcomes.append(done.rows["templates"])
            except OperationError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [ROWS["templates"]] * 2
        assert left(policy) == []


class TestRendered:
    """``render_newest``: the main job, with values that nobody gave."""

    def test_a_backup_without_templates_passes_the_drill(
        self, source: SampleDatabase, process: Runtime
    ) -> None:
        """A backup of a new service is a good one."""
        with copy_of(source) as new:
            new.run("DELETE FROM templates")
            with psycopg.connect(new.url) as connection:
                assert render_newest(connection, process) == []

    def test_templates_whose_values_cannot_be_made_up_are_skipped(
        self, source: SampleDatabase, process: Runtime
    ) -> None:
        """Only its author knows what a variable of any shape holds."""
        with copy_of(source) as own:
            own.run(
                "UPDATE template_versions"
                " SET body = '{{ order.lines[3].price | currency(''EUR'') }}',"
                """ variables = '[{"name": "order", "type": "any"}]'"""
                " FROM templates AS t WHERE t.id = template_versions.template_id"
                " AND t.template_id = 'welcome-2'"
            )
            with psycopg.connect(own.url) as connection:
                rendered = render_newest(connection, process)
        assert set(rendered) == RENDERED - {"welcome-2 2"}

    def test_a_template_that_fails_to_render_fails_the_drill(
        self, source: SampleDatabase, process: Runtime
    ) -> None:
        """The error names the template and the code."""
        with copy_of(source) as own:
            own.run("UPDATE template_versions SET body = '{% include \"gone\" %}' WHERE is_current")
            with (
                psycopg.connect(own.url) as connection,
                pytest.raises(OperationError, match=r"welcome-\d .*template_") as caught,
            ):
                render_newest(connection, process)
        assert caught.value.kind == "render_failed"


class TestLeftovers:
    """Scratch folders go, whatever happens."""

    def test_an_interrupted_drill_leaves_no_files_and_no_server(
        self, source: SampleDatabase, policy: BackupPolicy
    ) -> None:
        """Neither files, nor a server, nor a word in the catalogue."""
        entry = create(source.client, policy)
        sockets: list[Path] = []

        @contextmanager
        def clusters(programs: Programs, folder: Path) -> Iterator[PrivateCluster]:
            with new_cluster(programs, folder) as cluster:
                host = str(conninfo_to_dict(cluster.url())["host"])
                sockets.extend(Path(host).glob(".s.PGSQL*"))
                yield cluster

        def interrupt(_: psycopg.Connection) -> list[str]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            drill(Programs.chosen(), policy, render=interrupt, clusters=clusters)
        assert left(policy) == []
        assert catalogue(policy).get(entry.name) == entry
        assert sockets
        assert not any(socket.exists() for socket in sockets)

    def test_leftovers_of_a_killed_drill_are_removed_by_the_next(
        self, policy: BackupPolicy
    ) -> None:
        """But not what one still uses, nor a directory that was just made."""
        base = Path(policy.scratch)
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        for name in ("killed", "young"):
            folder = base / f"template-service-drill-{name}"
            folder.mkdir()
            (folder / "data").write_text("x")
            if name == "killed":
                os.utime(folder, (hour_ago.timestamp(), hour_ago.timestamp()))
        with OwnedDirectory("drill", base) as used, drill_directory(policy) as (folder, _):
            assert folder.is_dir()
            assert sorted(left(policy)) == sorted(
                ["template-service-drill-young", used.path.name, folder.name]
            )


class TestNotItsFault:
    """What keeps a drill from being held says nothing of the backup."""

    @pytest.mark.parametrize("kind", ["server_failed", "disk_full", "initdb_failed"])
    def test_a_server_that_does_not_start_leaves_the_backup_verified(
        self, source: SampleDatabase, policy: BackupPolicy, kind: str
    ) -> None:
        """It stays verified, and retention goes on."""
        entry = create(source.client, policy)
        verified = entry.model_copy(update={"verified_at": datetime.now(UTC)})
        catalogue(policy).add(verified)

        def broken(_: Programs, __: Path) -> PrivateCluster:
            raise OperationError(kind, "it does not work", "mend it")

        with pytest.raises(OperationError) as refused:
            held(policy, broken)
        assert refused.value.kind == kind
        assert catalogue(policy).get(entry.name) == verified
        assert left(policy) == []

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [({"client_version": "99.1"}, "client_too_old"), ({"revision": "9999"}, "newer_schema")],
    )
    def test_a_backup_of_a_newer_release_is_refused(
        self,
        source: SampleDatabase,
        policy: BackupPolicy,
        clusters: Clusters,
        changes: dict[str, str],
        kind: str,
    ) -> None:
        """During a deploy an old worker may meet one."""
        newer = create(source.client, policy).model_copy(update=changes)
        catalogue(policy).add(newer)
        with pytest.raises(OperationError) as refused:
            held(policy, clusters)
        assert refused.value.kind == kind
        assert catalogue(policy).get(newer.name) == newer

    def test_no_dump_at_all_is_a_finding(self, policy: BackupPolicy, clusters: Clusters) -> None:
        """The error says how one is made."""
        with pytest.raises(OperationError) as refused:
            held(policy, clusters)
        assert refused.value.kind == "backup_not_found"
        assert "backup create" in refused.value.remedy

    def test_a_backup_deleted_during_a_drill_stays_deleted(
        self, source: SampleDatabase, policy: BackupPolicy, clusters: Clusters
    ) -> None:
        """Its entry is not written anew."""
        entry: Entry = create(source.client, policy)

        def delete(_: psycopg.Connection) -> list[str]:
            catalogue(policy).remove(entry)
            return []

        drill(Programs.chosen(), policy, render=delete, clusters=clusters)
        assert list(Path(policy.target).iterdir()) == []
