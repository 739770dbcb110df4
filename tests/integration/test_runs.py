"""Runs of maintenance: sent once by any number of beats, worked on once, and to be looked up."""

import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.beat import SchedulingError
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from db.addresses import Database
from db.cluster.processes import Process, wait_until
from db.errors import OperationError
from tasks.configuration import Configuration
from tasks.messages.maintenance import DeletedRows, Maintain
from tasks.runs import recorded
from tasks.runtime import Runtime
from tests.support.cases import each
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.beat import RETRY_SECONDS, Scheduler
from worker.cli.maintenance import maintenance
from worker.local import LocalStack
from worker.schedule import beat_schedule
from worker.settings import load

QUEUES = ("maintenance", "monitoring")
NIGHT = datetime(2026, 11, 22, 1, 59, 30, tzinfo=UTC)  # a Sunday
DAILY = {
    "analyze",
    "backup",
    "prune_records",
    "prune_versions",
    "purge_templates",
    "recovery_figures",
}
EVERY_MINUTE = {"activate_scheduled", "report"}
DONE = DeletedRows(dry_run=False, skipped=False, deleted=7, batches=1, skipped_batches=0)


@pytest.fixture
def rows(servers: LocalStack) -> Iterator[Rows]:
    """Look at the database of the tasks, in which nothing was ever run."""
    rows = Rows(servers.postgres.url)
    rows.run("DELETE FROM maintenance_runs")
    yield rows
    rows.run("DELETE FROM maintenance_runs")


@pytest.fixture
def environment(servers: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the settings of the servers."""
    for name, value in servers.addresses().items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    yield
    load.cache_clear()


class Beat(Scheduler):
    """A beat whose clock stands still."""

    clock = NIGHT

    def now(self) -> datetime:
        """Return the time of the test."""
        return self.clock

    def at(self, moment: datetime) -> float:
        """Look at the table at that time."""
        self.clock = moment
        return self.tick()


@pytest.fixture
def beats(tasks: Tasks, rows: Rows, environment: None) -> Iterator[Callable[[], Beat]]:
    """Give a function that starts a beat."""
    del rows, environment
    started: list[Beat] = []

    def start() -> Beat:
        started.append(Beat(app=tasks.app))
        return started[-1]

    yield start
    for beat in started:
        beat.close()


@pytest.fixture
def sent(servers: LocalStack) -> Iterator[Callable[[], list[str]]]:
    """Give a function that returns the ids on the queues since it was last asked, sorted."""
    with redis.Redis.from_url(servers.valkey.url) as client:
        client.delete(*QUEUES)

        def found() -> list[str]:
            messages = [json.loads(raw) for queue in QUEUES for raw in client.lrange(queue, 0, -1)]
            client.delete(*QUEUES)
            ids = [message["headers"]["id"] for message in messages]
            assert all(
                run.startswith(message["headers"]["task"] + "@")
                for run, message in zip(ids, messages, strict=True)
            )
            return sorted(run.removeprefix("maintenance.") for run in ids)

        yield found
        client.delete(*QUEUES)


Beats = Callable[[], Beat]
Sent = Callable[[], list[str]]


class TestBeat:
    """What is sent, and that nothing is sent twice or never."""

    def test_a_new_service_waits_for_the_first_due_time(self, beats: Beats, sent: Sent) -> None:
        """What would have been due before it was there is nobody's loss."""
        beat = beats()
        assert beat.at(NIGHT) == 30
        assert sent() == []
        beat.at(NIGHT + timedelta(seconds=30))
        due = ["activate_scheduled", "backup", "report"]
        assert sent() == [f"{job}@2026-11-22T02:00Z" for job in due]
        beat.at(NIGHT + timedelta(seconds=45))
        assert sent() == []

    def test_two_beats_send_each_run_once(self, beats: Beats, sent: Sent) -> None:
        """Whichever is first, at each minute of an hour."""
        both = [beats(), beats()]
        with ThreadPoolExecutor(2) as pool:
            for minute in range(121):
                moment = NIGHT + timedelta(minutes=minute)
                list(pool.map(lambda beat, moment=moment: beat.at(moment), both))
        run_ids = sent()
        assert len(run_ids) == len(set(run_ids))
        jobs = [run.partition("@")[0] for run in run_ids]
        assert {job: jobs.count(job) for job in EVERY_MINUTE} == dict.fromkeys(EVERY_MINUTE, 120)
        assert [job for job in jobs if job not in EVERY_MINUTE] == [
            "analyze",
            "backup",
            "prune_versions",
            "purge_templates",
            "vacuum",
        ]

    def test_runs_missed_in_an_outage_are_sent_once(self, beats: Beats, sent: Sent) -> None:
        """Each task that was due meanwhile is sent once, and none that was not."""
        beats().at(NIGHT)
        beat = beats()
        beat.at(NIGHT + timedelta(hours=26))
        task_names = {run.partition("@")[0] for run in sent()}
        assert task_names == DAILY | EVERY_MINUTE | {"recovery_drill", "vacuum", "verify_backup"}
        beat.at(NIGHT + timedelta(hours=26, seconds=10))
        assert sent() == []

    def test_a_restart_changes_nothing(self, beats: Beats, sent: Sent) -> None:
        """The times are in the database, and in no file of beat's."""
        beats().at(NIGHT)
        beats().at(NIGHT + timedelta(minutes=1))
        assert len(sent()) == 3
        beats().at(NIGHT + timedelta(minutes=1, seconds=5))
        assert sent() == []

    def test_a_run_that_could_not_be_sent_is_sent_later(
        self, beats: Beats, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And holds up no other."""
        beat, send = beats(), Beat.apply_async
        beat.at(NIGHT)

        def refuse(self: Beat, entry: Any, **options: Any) -> Any:  # noqa: ANN401 - Celery's
            if entry.task == "maintenance.backup":
                raise SchedulingError("no")
            return send(self, entry, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Beat, "apply_async", refuse)
            assert beat.at(NIGHT + timedelta(minutes=1)) == RETRY_SECONDS
            assert sent() == [f"{job}@2026-11-22T02:00Z" for job in sorted(EVERY_MINUTE)]
        beat.at(NIGHT + timedelta(minutes=1, seconds=5))
        assert sent() == ["backup@2026-11-22T02:00Z"]

    def test_a_beat_that_dies_while_sending_repeats_the_run_with_the_same_id(
        self, beats: Beats, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message may be there twice then, with one id, by which the task knows it."""
        beats().at(NIGHT)
        send = Beat.apply_async

        def die(self: Beat, entry: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's
            send(self, entry, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Beat, "apply_async", die)
            with pytest.raises(KeyboardInterrupt):
                beats().at(NIGHT + timedelta(minutes=1))
        (first,) = sent()
        beats().at(NIGHT + timedelta(minutes=1))
        assert first in sent()

    def test_beat_waits_for_an_unavailable_database(
        self, beats: Beats, sent: Sent, servers: LocalStack
    ) -> None:
        """Beat waits for it, and goes on."""
        beat = beats()
        beat.at(NIGHT)
        moment = NIGHT + timedelta(minutes=1)
        with pytest.MonkeyPatch.context() as patch:
            away = servers.postgres.url.replace(str(servers.postgres.port), "1")
            patch.setenv("DATABASE_URL", away)
            load.cache_clear()
            assert beats().at(moment) == RETRY_SECONDS
        assert sent() == []
        beat.at(moment)
        assert len(sent()) == 3

    @pytest.mark.usefixtures("environment")
    def test_celery_beat_starts_with_this_scheduler(
        self, rows: Rows, servers: LocalStack, tmp_path: Path
    ) -> None:
        """``celery beat`` starts with it, needs no file, and looks at every task at once."""
        process = Process(
            "beat",
            [sys.executable, "-m", "celery", "-A", "worker", "beat", "-S", "worker.beat:Scheduler"],
            log=tmp_path / "log",
            record=tmp_path / "process",
            environment=servers.environment(),
            directory=Path.cwd(),
            death_signal=15,
        )
        process.start()
        try:

            def has_looked() -> bool:
                counts = rows.run("SELECT count(DISTINCT task) FROM maintenance_runs")
                return counts == [(len(beat_schedule(load())),)]

            wait_until(lambda: has_looked() or not process.running, 60)
            assert has_looked(), process.output()
        finally:
            process.stop()


class TestRecorded:
    """A message is worked on once, however often it is delivered."""

    @pytest.fixture
    def run(self, servers: LocalStack, rows: Rows) -> Callable[..., dict[str, Any]]:
        """Give a function that works on a message: its id, and what is done."""
        del rows
        process = Runtime(Configuration(Database(url=servers.postgres.url)))

        def work(run_id: str, do: Any, *, dry_run: bool = False) -> dict[str, Any]:  # noqa: ANN401 - a function
            message = Maintain(dry_run=dry_run)
            return recorded("maintenance.test", run_id, message, process, do)

        return work

    def test_a_duplicate_message_gets_the_first_result(self, run: Any) -> None:  # noqa: ANN401 - a function
        """Nothing is done for it; another message is worked on."""
        done: list[int] = []

        def do(*_: object) -> DeletedRows:
            done.append(1)
            return DONE

        assert run("a", do) == run("a", do) == DONE.model_dump(mode="json")
        assert len(done) == 1
        run("b", do)
        assert len(done) == 2

    def test_a_skipped_duplicate_does_not_end_the_running_one(self, run: Any, rows: Rows) -> None:  # noqa: ANN401 - a function
        """If that one dies, the message is delivered again, and worked on."""

        def first(*_: object) -> DeletedRows:
            skipped = DONE.model_copy(update={"skipped": True, "deleted": 0})
            assert run("a", lambda *_: skipped)["skipped"] is True
            raise SystemExit

        with pytest.raises(SystemExit):
            run("a", first)
        assert rows.run("SELECT state FROM maintenance_runs") == [("skipped",)]
        assert run("a", lambda *_: DONE)["deleted"] == 7

    def test_a_failed_run_is_recorded_and_may_be_retried(self, run: Any, rows: Rows) -> None:  # noqa: ANN401 - a function
        """With the kind of its cause, not with words that may hold anything."""

        def fail(*_: object) -> DeletedRows:
            raise OperationError("disk_full", "no room for secrets", "make some")

        with pytest.raises(OperationError):
            run("a", fail)
        stored = "SELECT state, error, result IS NULL, finished_at IS NULL FROM maintenance_runs"
        assert rows.run(stored) == [("failed", "disk_full", True, False)]
        run("a", lambda *_: DONE)
        assert rows.run(stored) == [("done", None, False, False)]

    def test_a_lost_database_is_reported_as_the_cause(self, run: Any, rows: Rows) -> None:  # noqa: ANN401 - a function
        """Although nothing can be noted then."""

        def fail(*_: object) -> DeletedRows:
            rows.run("ALTER TABLE maintenance_runs RENAME TO away")
            raise OperationalError("", {}, Exception("gone"))

        try:
            with pytest.raises(OperationalError, match="gone"):
                run("a", fail)
        finally:
            rows.run("ALTER TABLE away RENAME TO maintenance_runs")

    def test_a_dry_run_is_not_recorded(self, run: Any, rows: Rows) -> None:  # noqa: ANN401 - a function
        """It changes nothing at all."""
        run("a", lambda *_: DONE, dry_run=True)
        assert rows.run("SELECT count(*) FROM maintenance_runs") == [(0,)]

    @pytest.mark.usefixtures("rows")
    def test_a_task_is_recorded(self, tasks: Tasks, rows: Rows) -> None:
        """The second of two copies of a message has the numbers of the first."""
        task_id = str(uuid.uuid4())
        first = tasks.call("maintenance.analyze", task_id=task_id)
        assert tasks.call("maintenance.analyze", task_id=task_id) == first
        counted = "SELECT count(*) FROM maintenance_runs WHERE task = 'maintenance.analyze'"
        ((before,),) = rows.run(counted)
        tasks.call("maintenance.analyze")
        assert rows.run(counted) == [(before + 1,)]


@pytest.mark.usefixtures("rows", "environment")
class TestCommands:
    """``template-service maintenance``."""

    def run(self, *arguments: str) -> str:
        """Return what a command prints."""
        done = CliRunner().invoke(maintenance, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    def test_scheduled_versions_are_activated_by_hand(self) -> None:
        """What it would do, and what it did."""
        pattern = r"(Would activate|Activated) \d+ versions?, 0 failed\.\n"
        for arguments in ((), ("--dry-run",)):
            assert re.fullmatch(pattern, self.run("activate-scheduled", *arguments))

    @each("command", ["vacuum", "analyze", "reindex"])
    def test_maintenance_commands_show_tables_and_seconds(self, command: str) -> None:
        """Their names and seconds, for people and programs."""
        assert "template_versions" in self.run(command)
        assert json.loads(self.run(command, "--json", "--dry-run"))["dry_run"] is True

    @each("command", ["purge-templates", "prune-versions", "prune-records"])
    def test_cleanup_commands_show_the_number_of_rows(self, command: str) -> None:
        """How many rows went, or would."""
        self.run(command)
        assert self.run(command, "--dry-run").startswith("Would delete 0 rows")
        assert self.run(command).startswith("Deleted 0 rows")
        assert json.loads(self.run(command, "--json"))["deleted"] == 0

    def test_history_shows_the_newest_runs(self) -> None:
        """The newest run of each task, and of one task the last ones; dry runs are none."""
        assert self.run("history") == "no run yet\n"
        self.run("analyze", "--dry-run")
        self.run("analyze")
        self.run("analyze")
        self.run("prune-versions")
        newest = json.loads(self.run("history", "--json"))
        assert [(row["task"], row["state"]) for row in newest] == [
            ("maintenance.analyze", "done"),
            ("maintenance.prune_versions", "done"),
        ]
        assert set(newest[1]["did"]) == {"deleted", "batches", "skipped_batches"}
        assert newest[0]["last_done"] is not None
        assert len(json.loads(self.run("history", "--task", "analyze", "--json"))) == 2
        assert len(self.run("history", "--task", "analyze", "--limit", "1").splitlines()) == 2
        assert "deleted=" in self.run("history", "--task", "prune-versions")

    def test_a_failed_command_prints_an_error_without_a_password(
        self, servers: LocalStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With exit status 1, and without a password."""
        away = servers.postgres.url.replace(str(servers.postgres.port), "1")
        monkeypatch.setenv("DATABASE_URL", away)
        done = CliRunner().invoke(maintenance, ["vacuum"], catch_exceptions=False)
        assert (done.exit_code, done.output[:7]) == (1, "Error: ")
        assert servers.postgres.password not in done.output
