"""``maintenance.report`` and ``db report``: the figures, and the file for Prometheus."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import redis
from kombu import Connection
from prometheus_client.parser import text_string_to_metric_families

from db.backup.catalogue import Catalogue, Entry, StoredFile, open_store
from db.backup.policy import BackupPolicy
from db.errors import OperationError
from db.session import Database, make_engine
from tasks import runtime
from tasks.broker import Backlog, DeadLetterFigures
from tasks.messages.report import QueueFigures, Report
from tasks.services import metrics
from tasks.services.report import report
from tests.support.operators import Operator, run
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks
from worker.backlog import backlog
from worker.dead_letters import letter_of_raw
from worker.declared_queues import QUEUES
from worker.local import LocalStack
from worker.queues import QueueName
from worker.transport.held import Bounds, HeldMessages, Keys

EMPTY = QueueFigures(ready=0, reserved=0, delayed=0)
NO_LETTERS = DeadLetterFigures(count=0, size=0, oldest_age_seconds=None, dropped=0)
BACKLOG = Backlog(
    {"render": EMPTY}, DeadLetterFigures(count=3, size=4000, oldest_age_seconds=60.5, dropped=7)
)


@pytest.fixture(scope="module")
def url(servers: LocalStack) -> Iterator[str]:
    """Give a database of its own: other tests use that of ``servers`` at the same time."""
    run(servers.postgres.url, "CREATE DATABASE reported TEMPLATE template0")
    url = servers.postgres.url_of("reported")
    run(url, "CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY)")
    yield url
    run(servers.postgres.url, "DROP DATABASE reported WITH (FORCE)")


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[str]:
    """Give a broker without a message, which nobody else uses."""
    address = servers.valkey.url_of(9)
    yield address
    with Connection(address) as connection:
        connection.channel().client.flushdb()


def asked(url: str, target: Path) -> Report:
    """Return the report on a database and a folder of dumps."""
    engine = make_engine(Database(url=url))
    try:
        return report(engine, BackupPolicy(target=str(target)), BACKLOG)
    finally:
        engine.dispose()


def queues(address: str, prefix: str = "") -> Mapping[str, QueueFigures]:
    """Return the figures of each queue."""
    options = {"global_keyprefix": prefix}
    found = backlog(Connection(address, transport_options=options))
    assert found is not None
    return found.queues


@contextmanager
def sessions(url: str, count: int, *statements: str) -> Iterator[list[psycopg.Connection]]:
    """Keep sessions open that have run these statements."""
    with ExitStack() as stack:
        opened = [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(count)]
        for connection in opened:
            for statement in statements:
                connection.execute(statement.encode())
        yield opened


def stored(folder: Path, age: timedelta, *, verified: timedelta | None = None) -> None:
    """Put a dump of that age into the catalogue, proved so long ago."""
    now = datetime.now(UTC)
    name = f"dump{age.total_seconds():.0f}"
    Catalogue(open_store(str(folder))).add(
        Entry(
            name=name,
            contents="full",
            form="custom",
            started_at=now - age,
            finished_at=now - age,
            verified_at=None if verified is None else now - verified,
            database="reported",
            server_version="18.7",
            client_version="18.7",
            encrypted=False,
            files=(StoredFile(name=f"{name}.dump", part="dump", size=4, sha256="0" * 64),),
        )
    )


class TestDatabase:
    """The figures of the database."""

    def test_sessions_by_state(self, url: str, tmp_path: Path) -> None:
        """The report's own is left out; an open transaction has an age, an idle session none."""
        assert asked(url, tmp_path).connections == {}
        with sessions(url, 2), sessions(url, 1, "BEGIN", "SELECT 1"):
            found = asked(url, tmp_path)
        assert found.connections == {"idle": 2, "idle in transaction": 1}
        assert found.longest_transaction_seconds > 0
        assert found.longest_query_seconds == 0
        assert found.max_connections == 200

    def test_a_table_that_is_locked(self, url: str, tmp_path: Path) -> None:
        """Its size is unknown and said to be so; who waits is counted all the same."""
        with sessions(url, 1, "BEGIN", "LOCK TABLE one"), sessions(url, 1) as (waiter,):
            waiter.pgconn.send_query(b"SELECT 1 FROM one")
            try:
                found = asked(url, tmp_path)
                while found.blocked_sessions == 0:
                    found = asked(url, tmp_path)
            finally:
                waiter.cancel()
                while waiter.pgconn.get_result() is not None:
                    pass
        assert found.table_bytes is None
        assert found.unknown == ["tables: locked"]
        assert found.blocked_sessions == 1

    def test_sizes_and_dead_rows(self, url: str, tmp_path: Path) -> None:
        """As PostgreSQL has them; a second report follows what has happened."""
        before = asked(url, tmp_path)
        run(
            url,
            "ALTER TABLE two SET (autovacuum_enabled = false);"
            "INSERT INTO two SELECT generate_series(1, 2000)",
        )
        run(url, "DELETE FROM two; SELECT pg_stat_force_next_flush()")
        found = asked(url, tmp_path)
        assert before.table_bytes is not None
        assert found.table_bytes is not None
        assert set(found.table_bytes) == {"one", "two"}
        assert found.table_bytes["two"] > before.table_bytes["two"]
        assert found.table_bytes["one"] == before.table_bytes["one"]
        assert found.dead_rows >= before.dead_rows + 2000
        assert found.database_bytes > before.database_bytes
        assert found.xid_age > before.xid_age

    def test_slots_and_archiving(self, url: str, tmp_path: Path) -> None:
        """Nothing is archived here, and a slot keeps WAL."""
        run(url, "SELECT pg_create_physical_replication_slot('reported', true)")
        try:
            run(url, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 5000))")
            found = asked(url, tmp_path)
        finally:
            run(url, "SELECT pg_drop_replication_slot('reported')")
        assert (found.slot_retained_bytes["reported"] or 0) >= 5000
        assert (found.archiving, found.archived_age_seconds) == (False, None)
        assert (found.standby, found.replicas, found.standby_lag_seconds) == (False, {}, None)


class TestDumps:
    """The ages of dumps."""

    def test_without_any(self, url: str, tmp_path: Path) -> None:
        """Both are null, and nothing is unknown."""
        found = asked(url, tmp_path)
        assert (found.backup_age_seconds, found.backup_verified_age_seconds) == (None, None)
        assert found.unknown == []

    def test_the_newest_and_the_last_proved(self, url: str, tmp_path: Path) -> None:
        """They need not be the same dump."""
        stored(tmp_path, timedelta(hours=1))
        stored(tmp_path, timedelta(days=3), verified=timedelta(days=2))
        stored(tmp_path, timedelta(days=9), verified=timedelta(days=8))
        found = asked(url, tmp_path)
        assert found.backup_age_seconds == pytest.approx(3600, abs=60)
        assert found.backup_verified_age_seconds == pytest.approx(2 * 86_400, abs=60)

    def test_a_place_that_cannot_be_read(self, url: str, tmp_path: Path) -> None:
        """The other figures are told all the same."""
        (tmp_path / "file").write_bytes(b"")
        found = asked(url, tmp_path / "file")
        assert found.backup_age_seconds is None
        assert [told.split(":")[0] for told in found.unknown] == ["backups"]
        assert found.database_bytes > 0


class TestBacklog:
    """How many messages wait on the broker."""

    def test_what_workers_hold_is_counted(self, broker: str) -> None:
        """A bare length of the list would be 3; each queue has its own, dead letters too."""
        with Connection(broker) as connection:
            producer = connection.Producer(serializer="json")
            for name, count in {"render": 5, "templates": 1, "dead-letters": 4}.items():
                for number in range(count):
                    producer.publish({"n": number}, routing_key=name, exchange="")
            channel = connection.channel()
            render = next(queue for queue in QUEUES if queue.name == "render")(channel)
            held = [render.get(), render.get()]
            assert all(held)
            assert queues(broker) == {
                "templates": QueueFigures(ready=1, reserved=0),
                "render": QueueFigures(ready=3, reserved=2),
                "render-bulk": EMPTY,
                "maintenance": EMPTY,
                "dead-letters": QueueFigures(ready=4, reserved=0),
            }
            for message in held:
                message.ack()
        assert queues(broker)["render"] == QueueFigures(ready=3, reserved=0)

    @pytest.mark.parametrize("prefix", ["", "tenant:"])
    def test_all_consumers_and_delayed_messages_are_counted(self, broker: str, prefix: str) -> None:
        """Of each priority, of each consumer, alive or not, and of one that nobody recorded."""
        with redis.Redis.from_url(broker) as client:
            consumers = [HeldMessages(client, Keys(prefix), f"node/{n}", 60) for n in range(3)]
            urgent = "render\x06\x163"
            client.lpush(f"{prefix}render", *range(5))
            client.lpush(f"{prefix}{urgent}", *range(4))
            client.lpush(f"{prefix}templates", *range(2))
            for consumer in consumers:
                taken = consumer.take([["render", "templates"], [urgent, "templates\x06\x163"]], 3)
                consumer.delay(taken[0].tag, 600)
            client.zrem(f"{prefix}unacked:consumers", "node/2")
            found = queues(broker, prefix)
            figures = [
                sum(getattr(found[name], kind) or 0 for name in ("render", "templates"))
                for kind in ("ready", "reserved", "delayed")
            ]
            assert figures == [2, 6, 3]
            assert found["render"].ready == client.llen(f"{prefix}render") + client.llen(
                f"{prefix}{urgent}"
            )

    def test_a_user_with_few_rights_counts_too(self, broker: str, servers: LocalStack) -> None:
        """One that may use neither KEYS nor CONFIG, and no key but those of its prefix."""
        with redis.Redis.from_url(broker) as client:
            rights = "~tenant:* +@all -@dangerous -@admin -keys -config +info"
            client.acl_setuser(
                "few", enabled=True, reset=True, passwords=["+few"], keys=[], commands=[]
            )
            client.execute_command("ACL", "SETUSER", "few", *rights.split(), "&*")
            client.lpush("tenant:render", "1", "2", "3")
            HeldMessages(client, Keys("tenant:"), "node/1").take([["render"]], 1)
            url = f"redis://few:few@127.0.0.1:{servers.valkey.port}/9"
            try:
                assert queues(url, "tenant:")["render"] == QueueFigures(ready=2, reserved=1)
            finally:
                client.acl_deluser("few")

    def test_letters_are_counted(self, broker: str) -> None:
        """With their size, and since when the oldest is one."""
        with redis.Redis.from_url(broker) as client:
            held = HeldMessages(client, Keys(), "node/1")
            client.lpush("render", "1", "2", "3")
            letters = [
                (each.tag, letter_of_raw("malformed: x", each.raw, each.list))
                for each in held.take([["render"]], 3)
            ]
            held.bury(letters, "dead-letters", Bounds(2, 10**6))
        found = backlog(Connection(broker))
        assert found is not None
        assert (found.dead_letters.count, found.dead_letters.dropped) == (2, 1)
        assert found.dead_letters.size == sum(len(letter) for _, letter in letters[1:])
        assert 0 <= (found.dead_letters.oldest_age_seconds or -1) < 60

    def test_a_broker_without_queues(self, broker: str) -> None:
        """Nothing was ever sent: all are empty."""
        every = {queue.value: EMPTY for queue in QueueName}
        assert backlog(Connection(broker)) == Backlog(every, NO_LETTERS)

    def test_a_broker_that_is_away(self) -> None:
        """It is unknown, which is not 0."""
        away = Connection("redis://127.0.0.1:1/0", connect_timeout=2)
        assert backlog(away) is None


class TestTask:
    """``maintenance.report``."""

    def test_the_answer_is_json(self, tasks: Tasks) -> None:
        """With every field of the model, and the queues of the broker."""
        answer = tasks.call("maintenance.report")
        assert Report.model_validate(answer).queues is not None
        assert set(answer) == set(Report.model_fields)
        assert set(answer["queues"]) == {queue.value for queue in QueueName}

    def test_it_writes_the_metrics(
        self, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the setting says so, and in a dry run never."""
        process = runtime.current()
        file = tmp_path / "service.prom"
        operations = replace(process.configuration.operations, metrics_file=str(file))
        chosen = replace(process.configuration, operations=operations)
        monkeypatch.setattr(process, "configuration", chosen)
        tasks.call("maintenance.report", {"dry_run": True})
        assert not file.exists()
        tasks.call("maintenance.report")
        assert "# TYPE template_service_dead_rows gauge" in file.read_text()

    def test_a_file_that_cannot_be_written_is_a_failure(
        self, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody would notice a file that only grows old."""
        process = runtime.current()
        operations = replace(process.configuration.operations, metrics_file=f"{tmp_path}/no/x.prom")
        chosen = replace(process.configuration, operations=operations)
        monkeypatch.setattr(process, "configuration", chosen)
        with pytest.raises(RefusedError) as caught:
            tasks.call("maintenance.report")
        assert caught.value.code == "maintenance_failed"
        assert caught.value.details[0]["type"] == "metrics_unwritable"


class TestMetrics:
    """The file for Prometheus's textfile collector."""

    def test_every_figure_has_its_metric(self, url: str, tmp_path: Path) -> None:
        """With words and a type, in a form that Prometheus's own parser reads."""
        stored(tmp_path, timedelta(hours=1), verified=timedelta(hours=1))
        found = asked(url, tmp_path)
        metrics.write(found, str(tmp_path / "service.prom"))
        text = (tmp_path / "service.prom").read_text()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert all(family.documentation for family in families.values())
        assert {family.type for family in families.values()} == {"gauge", "counter"}

        def value(name: str) -> float:
            (sample,) = families[f"template_service_{name}"].samples
            return float(sample.value)

        assert value("backup_verified_age_seconds") == found.backup_verified_age_seconds
        assert value("report_time_seconds") == pytest.approx(found.at.timestamp())
        assert value("database_bytes") == found.database_bytes
        assert value("dead_letters") == 3
        assert value("dead_letters_oldest_age_seconds") == 60.5
        (dropped,) = families["template_service_dead_letters_dropped"].samples
        assert (dropped.name, dropped.value) == ("template_service_dead_letters_dropped_total", 7)
        tables = {
            sample.labels["table"]: sample.value
            for sample in families["template_service_table_bytes"].samples
        }
        assert tables == found.table_bytes
        assert [sample.labels for sample in families["template_service_queue_ready"].samples] == [
            {"queue": "render"}
        ]
        assert families["template_service_wal_archived_age_seconds"].samples == []
        assert [path.name for path in tmp_path.glob("service*")] == ["service.prom"]

    def test_a_file_that_cannot_be_written(self, url: str, tmp_path: Path) -> None:
        """The one that was there stays, and the setting is named."""
        (tmp_path / "old.prom").mkdir()
        with pytest.raises(OperationError) as caught:
            metrics.write(asked(url, tmp_path), str(tmp_path / "old.prom"))
        assert caught.value.kind == "metrics_unwritable"
        assert "TEMPLATE_SERVICE_METRICS_FILE" in caught.value.remedy
        assert [path.name for path in tmp_path.iterdir()] == ["old.prom"]


class TestCommand:
    """``template-service db report``."""

    def test_with_and_without_a_broker(self, url: str, broker: str, tmp_path: Path) -> None:
        """Where only the database is known the queues are, and are said to be, unknown."""
        target = {"TEMPLATE_SERVICE_BACKUP_TARGET": str(tmp_path)}
        alone = Operator(url, target | {"CELERY_BROKER_URL": ""})
        found = alone.json("report")
        assert (found["queues"], found["unknown"]) == (None, ["queues: no answer"])
        both = Operator(url, target | {"CELERY_BROKER_URL": broker})
        assert set(both.json("report")["queues"]) == {queue.value for queue in QueueName}
        told = both.output("report")
        assert "backup_verified_age_seconds" in told
        assert "dead-letters" in told
        assert json.loads(both.output("report", "--json"))["database_bytes"] > 0
