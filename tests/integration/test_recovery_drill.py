"""The recovery drill: what it proves, what it finds, and what is known of it afterwards."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from db.backup.policy import BackupPolicy
from db.cluster.processes import wait_until
from db.cluster.programs import Programs
from db.commands.core import Client
from db.errors import OperationError
from db.recovery import figures
from db.recovery.drill import ProvedRecovery, drill_recovery, read_record
from db.recovery.figures import Figures
from tests.support.recovery import Server, recoverable, replaced

_WRITE = """
INSERT INTO templates (template_id, name, type) VALUES ('w' || gen_random_uuid(), 'n', 'sms')
"""
_WRITERS = 4


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server with a base backup, and figures that were recorded during many writes."""
    with recoverable(tmp_path_factory.mktemp("drill")) as server:
        server.add(10)
        server.json("base-backup")
        with written(server):
            for _ in range(3):
                server.json("figures")
        server.json("check")
        yield server


@contextmanager
def written(server: Server) -> Iterator[None]:
    """Have several sessions write without pause."""
    end = threading.Event()

    def write() -> None:
        with psycopg.connect(server.stack.postgres.url, autocommit=True) as connection:
            while not end.is_set():
                connection.execute(_WRITE)

    threads = [threading.Thread(target=write) for _ in range(_WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()


def drilled(server: Server, scratch: Path, wanted: Figures | None = None) -> ProvedRecovery:
    """Run the drill, at the moment of these figures if WAL has it."""

    def choose(candidates: Sequence[Figures]) -> Figures:
        return min(candidates, key=lambda each: wanted is not None and each.at != wanted.at)

    client, policy = Client(Programs.chosen(), ""), BackupPolicy(scratch=str(scratch))
    return drill_recovery(client, server.policy, policy, "template_service", choose=choose)


def test_a_drill_recovers_exactly_what_the_server_had(server: Server, tmp_path: Path) -> None:
    """At each recorded moment, between the transactions of several sessions."""
    recorded = {each.at: each for each in figures.read(server.policy)}
    assert len(recorded) == 3
    for wanted in list(recorded.values())[1:]:
        proved = drilled(server, tmp_path, wanted)
        tables = recorded[proved.recovered_to].tables
        assert proved.tables == {name: facts.rows for name, facts in tables.items()}
        assert proved.tables["templates"] >= 10
        assert read_record(server.policy).proved == proved
    assert list(tmp_path.iterdir()) == []


def test_the_command_chooses_a_moment_itself(server: Server) -> None:
    """One of those recorded, or that of its own start."""
    proved = server.json("drill")
    known = {each.at.isoformat() for each in figures.read(server.policy)}
    assert proved["recovered_to"].replace(" ", "T") in known
    assert read_record(server.policy).problem is None


def test_a_drill_finds_a_recovery_that_differs(server: Server, tmp_path: Path) -> None:
    """The tables are named; the last proof is kept, and the problem with it."""
    before = read_record(server.policy)
    for path in (server.policy.directory / "figures").iterdir():
        content = json.loads(path.read_text())
        content["tables"]["templates"]["digest"] = "1"
        content["tables"]["template_versions"]["rows"] += 1
        replaced(path, json.dumps(content).encode())
    with pytest.raises(OperationError, match="templates: contents differ") as caught:
        drilled(server, tmp_path)
    assert "template_versions: 0 rows instead of 1" in caught.value.message
    known = read_record(server.policy)
    assert known.proved == before.proved
    assert (known.problem or "").startswith("recovery_differs: ")
    assert list(tmp_path.iterdir()) == []


def test_a_drill_passes_over_a_moment_that_wal_does_not_have(
    server: Server, tmp_path: Path
) -> None:
    """A transaction is committed in WAL before the figures that do not include it.

    So it is while a commit waits for a synchronous standby.
    """
    for path in (server.policy.directory / "figures").iterdir():
        path.unlink()
    url = server.stack.postgres.url
    with psycopg.connect(url, autocommit=True) as operator, ThreadPoolExecutor(1) as pool:
        operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'none'")
        operator.execute("SELECT pg_reload_conf()")
        waiting = pool.submit(server.add, 1)
        asked = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        assert wait_until(lambda: operator.execute(asked).rowcount == 1, 20)
        server.json("figures")
        operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
        operator.execute("SELECT pg_reload_conf()")
        waiting.result(20)
    server.json("check")
    with pytest.raises(OperationError) as caught:
        drilled(server, tmp_path)
    assert caught.value.kind == "no_figures"
