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

from db.addresses import Database
from db.backup.catalogue import Catalogue, Entry, StoredFile, open_store
from db.backup.policy import BackupPolicy
from db.errors import OperationError
from db.session import make_engine
from tasks import runtime
from tasks.broker import Backlog, DeadLetterFigures
from tasks.messages.report import QueueFigures, Report
from tasks.services import metrics
from tasks.services.report import report
from tests.support.operators import Operator, run
from tests.support.producer import RefusedError
from tests.support.sample_databases import sample_database
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
    figures = backlog(Connection(address, transport_options=options))
    assert figures is not None
    return figures.queues


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

    def test_sessions_are_counted_by_state(self, url: str, tmp_path: Path) -> None:
        """The report's own is left out; an open transaction has an age, an idle session none."""
        assert asked(url, tmp_path).connections == {}
        with sessions(url, 2), sessions(url, 1, "BEGIN", "SELECT 1"):
            result = asked(url, tmp_path)
        assert result.connections == {"idle": 2, "idle in transaction": 1}
        assert result.longest_transaction_seconds > 0
        assert result.longest_query_seconds == 0
        assert result.max_connections == 200

    def test_the_size_of_a_locked_table_is_unknown(self, url: str, tmp_path: Path) -> None:
        """Its size is unknown and said to be so; who waits is counted all the same."""
        with sessions(url, 1, "BEGIN", "LOCK TABLE one"), sessions(url, 1) as (waiter,):
            waiter.pgconn.send_query(b"SELECT 1 FROM one")
            try:
                result = asked(url, tmp_path)
                while result.blocked_sessions == 0:
                    result = asked(url, tmp_path)
            finally:
                waiter.cancel()
                while waiter.pgconn.get_result() is not None:
                    pass
        assert result.table_bytes is None
        assert result.unknown == ["tables: locked"]
        assert result.blocked_sessions == 1

    def test_sizes_and_dead_rows_match_postgresqls(self, url: str, tmp_path: Path) -> None:
        """As PostgreSQL has them; a second report follows what has happened."""
        before = asked(url, tmp_path)
        run(
            url,
            "ALTER TABLE two SET (autovacuum_enabled = false);"
            "INSERT INTO two SELECT generate_series(1, 2000)",
        )
        run(url, "DELETE FROM two; SELECT pg_stat_force_next_flush()")
        result = asked(url, tmp_path)
        assert before.table_bytes is not None
        assert result.table_bytes is not None
        assert set(result.table_bytes) == {"one", "two"}
        assert result.table_bytes["two"] > before.table_bytes["two"]
        assert result.table_bytes["one"] == before.table_bytes["one"]
        assert result.dead_rows >= before.dead_rows + 2000
        assert result.database_bytes > before.database_bytes
        assert result.xid_age > before.xid_age

    def test_slots_and_archiving_are_reported(self, url: str, tmp_path: Path) -> None:
        """Nothing is archived here, and a slot keeps WAL."""
        run(url, "SELECT pg_create_physical_replication_slot('reported', true)")
        try:
            # In the transaction: its commit waits until the message is in the WAL that is reported.
            run(url, "SELECT pg_logical_emit_message(true, 'x', repeat('x', 5000))")
            result = asked(url, tmp_path)
        finally:
            run(url, "SELECT pg_drop_replication_slot('reported')")
        assert (result.slot_retained_bytes["reported"] or 0) >= 5000
        assert (result.archiving, result.archived_age_seconds) == (False, None)
        assert (result.standby, result.replicas, result.standby_lag_seconds) == (False, {}, None)


class TestDumps:
    """The ages of dumps."""

    def test_without_dumps_the_ages_are_null(self, url: str, tmp_path: Path) -> None:
        """Both are null, and nothing is unknown."""
        result = asked(url, tmp_path)
        assert (result.backup_age_seconds, result.backup_verified_age_seconds) == (None, None)
        assert result.unknown == []

    def test_the_newest_and_the_last_verified_dump_are_reported(
        self, url: str, tmp_path: Path
    ) -> None:
        """They need not be the same dump."""
        stored(tmp_path, timedelta(hours=1))
        stored(tmp_path, timedelta(days=3), verified=timedelta(days=2))
        stored(tmp_path, timedelta(days=9), verified=timedelta(days=8))
        result = asked(url, tmp_path)
        assert result.backup_age_seconds == pytest.approx(3600, abs=60)
        assert result.backup_verified_age_seconds == pytest.approx(2 * 86_400, abs=60)

    def test_an_unreadable_target_leaves_the_other_figures(self, url: str, tmp_path: Path) -> None:
        """The other figures are still reported."""
        (tmp_path / "file").write_bytes(b"")
        result = asked(url, tmp_path / "file")
        assert result.backup_age_seconds is None
        assert [reason.split(":")[0] for reason in result.unknown] == ["backups"]
        assert result.database_bytes > 0


class TestBacklog:
    """How many messages wait on the broker."""

    def test_messages_that_workers_hold_are_counted(self, broker: str) -> None:
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
                "monitoring": EMPTY,
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
            counts = queues(broker, prefix)
            figures = [
                sum(getattr(counts[name], kind) or 0 for name in ("render", "templates"))
                for kind in ("ready", "reserved", "delayed")
            ]
            assert figures == [2, 6, 3]
            assert counts["render"].ready == client.llen(f"{prefix}render") + client.llen(
                f"{prefix}{urgent}"
            )

    def test_a_broker_user_with_few_permissions_can_count(
        self, broker: str, servers: LocalStack
    ) -> None:
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

    def test_dead_letters_are_counted(self, broker: str) -> None:
        """With their size, and since when the oldest is one."""
        with redis.Redis.from_url(broker) as client:
            held = HeldMessages(client, Keys(), "node/1")
            client.lpush("render", "1", "2", "3")
            letters = [
                (each.tag, letter_of_raw("malformed: x", each.raw, each.list))
                for each in held.take([["render"]], 3)
            ]
            held.move_to_dead_letters(letters, Bounds(2, 10**6))
        figures = backlog(Connection(broker))
        assert figures is not None
        assert (figures.dead_letters.count, figures.dead_letters.dropped) == (2, 1)
        assert figures.dead_letters.size == sum(len(letter) for _, letter in letters[1:])
        assert 0 <= (figures.dead_letters.oldest_age_seconds or -1) < 60

    def test_a_broker_without_queues_has_empty_ones(self, broker: str) -> None:
        """Nothing was ever sent: all are empty."""
        every = {queue.value: EMPTY for queue in QueueName}
        assert backlog(Connection(broker)) == Backlog(every, NO_LETTERS)

    def test_the_backlog_of_an_unavailable_broker_is_unknown(self) -> None:
        """It is unknown, which is not 0."""
        away = Connection("redis://127.0.0.1:1/0", connect_timeout=2)
        assert backlog(away) is None


class TestTask:
    """``maintenance.report``."""

    def test_the_report_has_every_field_of_its_model(self, tasks: Tasks) -> None:
        """With every field of the model, and the queues of the broker."""
        answer = tasks.call("maintenance.report")
        assert Report.model_validate(answer).queues is not None
        assert set(answer) == set(Report.model_fields)
        assert set(answer["queues"]) == {queue.value for queue in QueueName}

    def test_the_metrics_file_is_written_unless_dry_run(
        self, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the setting says so, and in a dry run never."""
        process = runtime.current()
        file = tmp_path / "service.prom"
        operations = replace(process.configuration.operations, metrics_file=str(file))
        configuration = replace(process.configuration, operations=operations)
        monkeypatch.setattr(process, "configuration", configuration)
        tasks.call("maintenance.report", {"dry_run": True})
        assert not file.exists()
        tasks.call("maintenance.report")
        assert "# TYPE template_service_dead_rows gauge" in file.read_text()

    def test_an_unwritable_metrics_file_fails_the_run(
        self, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody would notice a file that only grows old."""
        process = runtime.current()
        operations = replace(process.configuration.operations, metrics_file=f"{tmp_path}/no/x.prom")
        configuration = replace(process.configuration, operations=operations)
        monkeypatch.setattr(process, "configuration", configuration)
        with pytest.raises(RefusedError) as caught:
            tasks.call("maintenance.report")
        assert caught.value.code == "maintenance_failed"
        assert caught.value.details[0]["type"] == "metrics_unwritable"


class TestMetrics:
    """The file for Prometheus's textfile collector."""

    def test_every_figure_has_its_metric(self, url: str, tmp_path: Path) -> None:
        """With words and a type, in a form that Prometheus's own parser reads."""
        stored(tmp_path, timedelta(hours=1), verified=timedelta(hours=1))
        result = asked(url, tmp_path)
        metrics.write(result, str(tmp_path / "service.prom"))
        text = (tmp_path / "service.prom").read_text()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert all(family.documentation for family in families.values())
        assert {family.type for family in families.values()} == {"gauge", "counter"}

        def value(name: str) -> float:
            (sample,) = families[f"template_service_{name}"].samples
            return float(sample.value)

        assert value("backup_verified_age_seconds") == result.backup_verified_age_seconds
        assert value("report_time_seconds") == pytest.approx(result.at.timestamp())
        assert value("database_bytes") == result.database_bytes
        assert value("dead_letters") == 3
        assert value("dead_letters_oldest_age_seconds") == 60.5
        (dropped,) = families["template_service_dead_letters_dropped"].samples
        assert (dropped.name, dropped.value) == ("template_service_dead_letters_dropped_total", 7)
        tables = {
            sample.labels["table"]: sample.value
            for sample in families["template_service_table_bytes"].samples
        }
        assert tables == result.table_bytes
        assert [sample.labels for sample in families["template_service_queue_ready"].samples] == [
            {"queue": "render"}
        ]
        assert families["template_service_wal_archived_age_seconds"].samples == []
        assert [path.name for path in tmp_path.glob("service*")] == ["service.prom"]

    def test_an_unwritable_metrics_file_keeps_the_old_one(self, url: str, tmp_path: Path) -> None:
        """The one that was there stays, and the setting is named."""
        (tmp_path / "old.prom").mkdir()
        with pytest.raises(OperationError) as caught:
            metrics.write(asked(url, tmp_path), str(tmp_path / "old.prom"))
        assert caught.value.kind == "metrics_unwritable"
        assert "TEMPLATE_SERVICE_METRICS_FILE" in caught.value.remedy
        assert [path.name for path in tmp_path.iterdir()] == ["old.prom"]


def test_the_history_has_sizes_and_slow_statements_of_each_day(servers: LocalStack) -> None:
    """As the last recorded report of the day; what no report has is not there."""
    with sample_database(servers) as made:
        for days, hour, size in ((2, 1, 100), (2, 5, 200), (1, 5, 350), (90, 1, 1)):
            result = {
                "database_bytes": size,
                "table_bytes": {"one": 10, "two": size // 2},
                "slow_statements": [
                    {"query": "SELECT $1", "calls": 2, "mean_ms": 1, "max_ms": 2, "total_ms": size}
                ],
            }
            made.run(
                "INSERT INTO maintenance_runs (task, id, state, started_at, finished_at, result)"
                " VALUES ('maintenance.report', %(id)s, 'done', %(at)s, %(at)s, %(result)s)",
                id=f"{days} {hour}",
                at=datetime.now(UTC).replace(hour=hour) - timedelta(days=days),
                result=json.dumps(result),
            )
        made.run("CREATE EXTENSION pg_stat_statements")
        operator = Operator(made.url)
        history = operator.json("report", "--history")
        assert [row["growth_bytes"] for row in history["sizes"]] == [150, None]
        assert [row["database_bytes"] for row in history["sizes"]] == [350, 200]
        assert {row["largest_table"] for row in history["sizes"]} == {"two"}
        assert [row["total_ms"] for row in history["slow_statements"]] == [350, 200]
        assert "SELECT $1" in operator.output("report", "--history", "--days", "1")
        statements = operator.json("report")["slow_statements"]
        assert statements
        assert len(statements) <= 5


class TestCommand:
    """``template-service db report``."""

    def test_db_report_works_with_and_without_a_broker(
        self, url: str, broker: str, tmp_path: Path
    ) -> None:
        """Where only the database is known the queues are, and are said to be, unknown."""
        target = {"TEMPLATE_SERVICE_BACKUP_TARGET": str(tmp_path)}
        alone = Operator(url, target | {"CELERY_BROKER_URL": ""})
        result = alone.json("report")
        assert (result["queues"], result["unknown"]) == (None, ["queues: no answer"])
        both = Operator(url, target | {"CELERY_BROKER_URL": broker})
        assert set(both.json("report")["queues"]) == {queue.value for queue in QueueName}
        output = both.output("report")
        assert "backup_verified_age_seconds" in output
        assert "dead-letters" in output
        assert json.loads(both.output("report", "--json"))["database_bytes"] > 0
