"""Waits for PostgreSQL that are broken off: the message is tried again, the pool goes on."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from db.addresses import Database
from db.errors import OperationError
from db.session import autocommitting, driver_connection, is_transient, make_engine, make_sessions
from db.waits import Connection, interruption
from tasks import runtime, time_limit
from tasks.runs import Run
from tests.factories import templates
from tests.support.tasks import Tasks
from worker.local import LocalStack


@pytest.fixture
def engine(servers: LocalStack) -> Iterator[Engine]:
    """Give a pool of one connection, which a leak would use up."""
    database = Database(servers.postgres.url, pool_size=1, max_overflow=0, pool_timeout=1)
    engine = make_engine(database)
    yield engine
    engine.dispose()


@contextmanager
def striking_after(seconds: float) -> Iterator[None]:
    """Have the soft time limit strike once, as the pool's supervisor would."""
    interruption.clear()
    before = signal.signal(signal.SIGALRM, time_limit.strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        interruption.clear()


def in_session(engine: Engine, statement: str) -> None:
    """Run a statement in a transaction of a session."""
    with make_sessions(engine)() as session:
        session.execute(text(statement))
        session.commit()


def in_statement(engine: Engine, statement: str) -> None:
    """Run a statement that commits by itself."""
    with autocommitting(engine) as connection:
        connection.execute(statement.encode())


def in_connection(engine: Engine, statement: str) -> None:
    """Run a statement in a transaction of SQLAlchemy's core."""
    with engine.begin() as connection:
        connection.execute(text(statement))


def direct(engine: Engine, statement: str) -> None:
    """Run a statement in a transaction of a session, by psycopg alone."""
    with make_sessions(engine)() as session:
        driver_connection(session).execute(statement.encode())
        session.commit()


WAYS: list[Callable[[Engine, str], None]] = [in_session, in_statement, in_connection, direct]


@pytest.mark.parametrize("way", WAYS)
def test_a_time_limit_during_a_statement_is_a_lost_connection(
    engine: Engine, way: Callable[[Engine, str], None]
) -> None:
    """One that may be tried again; the next statement has a connection of its own."""
    way(engine, "SELECT 1")
    with striking_after(0.05), pytest.raises((DBAPIError, psycopg.Error)) as caught:
        way(engine, "SELECT pg_sleep(30)")
    assert is_transient(caught.value)
    way(engine, "SELECT 1")


@pytest.mark.parametrize("way", WAYS)
def test_a_time_limit_outside_a_statement_ends_the_next_one(
    engine: Engine, way: Callable[[Engine, str], None]
) -> None:
    """Nothing else is interrupted: no lock stays held, no connection in an unknown state."""
    interruption.clear()
    time_limit.strike()
    with pytest.raises((DBAPIError, psycopg.Error)) as caught:
        way(engine, "SELECT 1")
    assert is_transient(caught.value)
    way(engine, "SELECT 1")


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_to_a_server_that_became_a_standby_is_not_used_again(
    engine: Engine, way: Callable[[Engine, str], None]
) -> None:
    """After a failover the next try reaches the primary."""
    way(engine, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises((DBAPIError, psycopg.Error)) as caught:
        way(engine, "CREATE SEQUENCE of_a_primary")
    assert is_transient(caught.value)
    way(engine, "CREATE TEMPORARY SEQUENCE of_a_primary")


@contextmanager
def silent(servers: LocalStack) -> Iterator[None]:
    """Stop all processes of the server, which keeps its connections."""
    main = psutil.Process(servers.postgres.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_silent_beyond_its_statement_timeout_is_disconnected(
    servers: LocalStack, way: Callable[[Engine, str], None]
) -> None:
    """It may have been stopped, or the network drops what it says."""
    engine = make_engine(Database(servers.postgres.url, statement_timeout=0.1, connect_timeout=2))
    try:
        way(engine, "SELECT 1")
        with silent(servers), pytest.raises((DBAPIError, psycopg.Error)) as caught:
            way(engine, "SELECT 1")
        assert is_transient(caught.value)
        way(engine, "SELECT 1")
    finally:
        engine.dispose()


def test_maintenance_statements_have_no_timeout(servers: LocalStack) -> None:
    """No timeout of the server, no clock of the client."""
    engine = make_engine(replace(Database(servers.postgres.url), statement_timeout=0))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, Connection)
        assert driver.longest_wait is None
    engine.dispose()


def checked_out() -> int:
    """Return how many connections of the tasks' pool are in use."""
    pool = runtime.current().engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


class TestOfTasks:
    """Whatever interrupts the work, and wherever: tried again, then answered once."""

    @pytest.fixture
    def messages(self, tasks: Tasks) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """Give a read, a lookup and a write; what they put on queues is deleted.

        There are two connections in the pool: what one is left with is not the next one's.
        """
        with runtime.current().engine.connect(), runtime.current().engine.connect():
            pass
        template = templates.published(tasks, "Hello", type="sms")
        yield [
            ("template.get", {"template_id": template}),
            ("render.one", {"template_id": template}),
            ("version.publish", {"template_id": template, "body": "Hello again"}),
        ]
        with tasks.app.connection_for_write() as connection:
            connection.default_channel.client.delete("templates", "render")

    def test_a_time_limit_at_any_moment_leaves_one_answer(
        self, tasks: Tasks, messages: list[tuple[str, dict[str, Any]]]
    ) -> None:
        """From the first instruction to past the last one, in steps of half a millisecond."""
        states = set()
        for number in range(60):
            task, keywords = messages[number % 3]
            with striking_after(0.0001 + 0.0005 * number / 3):
                delivery = tasks.deliver(task, keywords, task_id=f"{task} {number}")
            assert delivery.state in {"SUCCESS", "RETRY"}, delivery.value
            states.add(delivery.state)
            again = tasks.deliver(task, keywords, task_id=f"{task} {number}")
            assert again.state == "SUCCESS", again.value
            assert checked_out() == 0
        assert states == {"SUCCESS", "RETRY"}

    @pytest.mark.parametrize(
        ("moment", "error"),
        [
            ("before", SoftTimeLimitExceeded),
            ("amid", SoftTimeLimitExceeded),
            ("amid", MemoryError),
            ("after", SoftTimeLimitExceeded),
        ],
    )
    def test_an_exception_at_each_wait_leaves_one_answer(
        self,
        tasks: Tasks,
        messages: list[tuple[str, dict[str, Any]]],
        monkeypatch: pytest.MonkeyPatch,
        moment: str,
        error: type[Exception],
    ) -> None:
        """Before, in the middle of and after each of a task's exchanges with it."""
        wait = psycopg.Connection.wait
        countdown = 0

        def interrupted(
            connection: psycopg.Connection,
            generator: Any,  # noqa: ANN401 - psycopg's
            interval: float = 0.1,
            timeout: float | None = None,
        ) -> object:
            nonlocal countdown
            if not generator.__name__.startswith("_set_"):  # these send nothing
                countdown -= 1
                if countdown == 0:
                    if moment == "amid":
                        next(generator)
                    if moment == "after":
                        wait(connection, generator, interval, timeout)
                    raise error
            return wait(connection, generator, interval, timeout)

        monkeypatch.setattr(psycopg.Connection, "wait", interrupted)
        for task, keywords in messages:
            before = len(templates.versions(tasks, keywords["template_id"]))
            for number in range(1, 100):
                countdown = number
                task_id = f"{task} {moment} {error.__name__} {number}"
                delivery = tasks.deliver(task, keywords, task_id=task_id)
                if countdown > 0:
                    break
                assert delivery.state in {"SUCCESS", "RETRY"}, delivery.value
                countdown = 0
                again = tasks.deliver(task, keywords, task_id=task_id)
                assert again.state == "SUCCESS", again.value
                assert checked_out() == 0
            assert number > 1
            written = len(templates.versions(tasks, keywords["template_id"])) - before
            assert written == (number if task == "version.publish" else 0)

    def test_writes_that_were_interrupted_are_done_once(
        self, tasks: Tasks, messages: list[tuple[str, dict[str, Any]]]
    ) -> None:
        """As many versions as messages, however often each was delivered."""
        task, keywords = messages[2]
        for number in range(20):
            with striking_after(0.001 * number):
                first = tasks.deliver(task, keywords, task_id=f"once {keywords} {number}")
            assert first.state in {"SUCCESS", "RETRY"}, first.value
            again = tasks.deliver(task, keywords, task_id=f"once {keywords} {number}")
            assert again.state == "SUCCESS", again.value
        assert len(templates.versions(tasks, keywords["template_id"])) == 1 + 20


def test_a_time_limit_interrupts_maintenance_programs_too() -> None:
    """It waits for programs of PostgreSQL, not only for the server."""
    with pytest.raises(OperationError, match="A_LIMIT"), time_limit.striking_anywhere("A_LIMIT"):
        time_limit.strike()
    time_limit.strike()
    time_limit.begin()


@pytest.mark.parametrize("where", ["in a program", "in a statement"])
def test_maintenance_over_its_time_limit_is_recorded_and_not_retried(
    tasks: Tasks, servers: LocalStack, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The next try would take as long; the note is made although the limit has struck."""

    def vacuum(message: object, run: Run) -> None:
        with striking_after(0.05):
            if where == "in a program":
                time.sleep(30)
            with run.engine.connect() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(30)")

    monkeypatch.setattr("tasks.services.maintenance.vacuum", vacuum)
    delivery = tasks.deliver("maintenance.vacuum", {}, task_id=f"struck {where}")
    assert delivery.state == "FAILURE"
    assert "TEMPLATE_SERVICE_MAINTENANCE_TIME_LIMIT" in str(delivery.value)
    with psycopg.connect(servers.postgres.url) as connection:
        row = connection.execute(
            "SELECT state, error FROM maintenance_runs WHERE id = %s", [f"struck {where}"]
        ).fetchone()
    assert row == ("failed", "time_limit")
