"""``db doctor`` on the broker: each thing that it looks for is caused once, and found."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from kombu import Connection
from kombu.transport.redis import Transport

from db.monitoring.checks.finding import Finding
from tests.support.envelopes import body_of, envelope
from tests.support.operators import Operator
from worker.broker_checks import Thresholds, examine
from worker.dead_letters import letter_of_raw
from worker.local import LocalStack
from worker.settings import Settings
from worker.transport.held import Bounds, HeldMessages, Keys

USUAL = Thresholds(
    letter_age=timedelta(days=3),
    held=timedelta(seconds=210),
    maintenance=timedelta(seconds=21_600),
    unacked=timedelta(seconds=4200),
)
AT_ONCE = replace(USUAL, held=timedelta(0), unacked=timedelta(0))
HOURS_AGO = 7 * 3600 * 1000


class Broker:
    """A database of Valkey, and a consumer that is alive."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = redis.Redis.from_url(url)
        self.client.flushdb()
        self.held = HeldMessages(self.client, Keys(), "node/1", 60)

    def take(self, queue: str = "render", **headers: object) -> None:
        """Send a message, and have the consumer take it."""
        _, made = envelope("render.one", body_of({}), headers=headers)
        self.client.lpush(queue, json.dumps(made))
        assert len(self.held.take([[queue]], 1)) == 1

    def age(self) -> None:
        """Have all messages been taken hours ago."""
        key = "unacked:held:node/1"
        for tag, entry in self.client.hgetall(key).items():
            taken, rest = entry.split(b"\n", 1)
            self.client.hset(key, tag, b"%d\n%b" % (int(taken) - HOURS_AGO, rest))

    def die(self) -> None:
        """Have the lease end hours ago."""
        self.client.zincrby("unacked:consumers", -HOURS_AGO, "node/1")

    def add_letters(self, count: int, bounds: Bounds) -> None:
        """Have the consumer make dead letters."""
        self.client.lpush("render", *range(count))
        letters = [
            (each.tag, letter_of_raw("malformed: x", each.raw, each.list))
            for each in self.held.take([["render"]], count)
        ]
        self.held.move_to_dead_letters(letters, bounds)

    def found(self, thresholds: Thresholds = USUAL) -> dict[str, str]:
        """Return kind and severity of each finding."""
        return {each.id: each.severity for each in self.findings(thresholds)}

    def findings(self, thresholds: Thresholds = USUAL) -> list[Finding]:
        """Return what the doctor finds."""
        return examine(Connection(self.url), thresholds)


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[Broker]:
    """Give an empty database."""
    broker = Broker(servers.valkey.url_of(7))
    yield broker
    broker.client.flushdb()
    broker.client.close()


class TestLetters:
    """Dead letters."""

    def test_a_healthy_broker_has_no_findings(self, broker: Broker) -> None:
        """Nothing is found on a broker where all is well."""
        assert broker.found() == {}

    def test_dead_letters_are_a_notice_and_old_ones_a_warning(self, broker: Broker) -> None:
        """With their number and size; old ones are a warning."""
        broker.add_letters(2, Bounds(10, 10**6))
        (finding,) = broker.findings()
        assert (finding.id, finding.severity) == ("dead_letters", "notice")
        assert "2 dead letters of " in finding.what
        assert broker.found(replace(USUAL, letter_age=timedelta(0))) == {
            "dead_letters_old": "warning"
        }

    def test_dropped_dead_letters_are_an_error(self, broker: Broker) -> None:
        """Until that is as long ago as the oldest letter may be."""
        broker.add_letters(3, Bounds(2, 10**6))
        findings = broker.found()
        assert findings == {"dead_letters_dropped": "error", "dead_letters": "notice"}
        broker.client.hset("dead-letters:figures", "dropped_at", 1000)
        assert broker.found() == {"dead_letters": "notice"}

    def test_only_the_number_of_dead_letters_is_known_on_rabbitmq(self) -> None:
        """Only how many there are."""
        connection = Connection("memory://")
        with connection.Producer() as producer:
            producer.publish({"reason": "x"}, routing_key="dead-letters", declare=[])
        assert {each.id for each in examine(connection, USUAL)} <= {"dead_letters"}


class TestReserved:
    """Reserved messages without progress."""

    def test_a_live_consumer_without_progress_is_an_error(self, broker: Broker) -> None:
        """Found by its name, once its message is with it for longer than any task may take."""
        broker.take()
        assert broker.found() == {}
        broker.age()
        (finding,) = broker.findings()
        assert (finding.id, finding.severity) == ("reserved_without_progress", "error")
        assert finding.what == "node/1 holds 1 message, the oldest since 7 h 0 min"

    def test_maintenance_messages_extend_the_threshold(self, broker: Broker) -> None:
        """Its own messages never count, and others may wait for it."""
        broker.take("maintenance")
        broker.age()
        assert broker.found(AT_ONCE) == {}
        broker.take()
        assert broker.found(AT_ONCE) == {}
        broker.age()
        assert broker.found(AT_ONCE) == {"reserved_without_progress": "error"}

    def test_a_message_that_waits_for_its_eta_is_no_finding(self, broker: Broker) -> None:
        """It could not have been worked on before."""
        broker.take(eta=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
        broker.take(eta="no time at all")
        broker.age()
        broker.client.hdel("unacked:held:node/1", 2)
        assert broker.found(AT_ONCE) == {}

    def test_messages_of_a_dead_consumer_without_workers_are_an_error(self, broker: Broker) -> None:
        """Nobody returns its messages; without any it is of no interest."""
        broker.take()
        broker.die()
        (finding,) = broker.findings()
        assert (finding.id, finding.severity) == ("reserved_by_dead", "error")
        assert finding.what == "node/1 has died 6 h 59 min ago with 1 message"
        assert "no worker is alive" in finding.why
        broker.client.delete("unacked:held:node/1")
        assert broker.found() == {}

    def test_messages_that_workers_do_not_sweep_are_an_error(self, broker: Broker) -> None:
        """That of one whose lease has only just ended is a matter of seconds."""
        broker.take()
        broker.client.zincrby("unacked:consumers", -61_000, "node/1")
        HeldMessages(broker.client, Keys(), "node/2", 60).renew(sweeps=False)
        assert broker.found() == {}
        broker.die()
        (finding,) = broker.findings()
        assert finding.id == "reserved_by_dead"
        assert "none has" in finding.why

    def test_messages_of_an_unrecorded_consumer_are_an_error(self, broker: Broker) -> None:
        """No worker looks for them."""
        broker.take()
        broker.client.delete("unacked:consumers")
        assert broker.found() == {"reserved_by_dead": "error"}

    def test_unacked_messages_of_kombus_transport_are_a_warning(self, broker: Broker) -> None:
        """Once the visibility timeout is over."""
        with Connection(broker.url, transport=Transport) as connection:
            queue = connection.SimpleQueue("render")
            queue.put({"n": 1})
            message = queue.get(timeout=5)
            assert broker.found() == {}
            assert broker.found(AT_ONCE) == {"unacked_not_returned": "warning"}
            message.ack()


class TestBroker:
    """The broker itself."""

    def test_an_unavailable_broker_is_an_error(self) -> None:
        """An error, with the setting that names it."""
        (finding,) = examine(Connection("redis://127.0.0.1:1/0", connect_timeout=2), USUAL)
        assert (finding.id, finding.severity) == ("broker_away", "error")
        assert "CELERY_BROKER_URL" in finding.remedy

    def test_a_check_without_permission_is_a_notice(
        self, broker: Broker, servers: LocalStack
    ) -> None:
        """What could not be checked is said."""
        broker.client.acl_setuser("blind", enabled=True, reset=True, passwords=["+blind"])
        broker.client.execute_command("ACL", "SETUSER", "blind", "+@connection", "+info")
        url = f"redis://blind:blind@127.0.0.1:{servers.valkey.port}/7"
        try:
            (finding,) = examine(Connection(url), USUAL)
        finally:
            broker.client.acl_deluser("blind")
        assert (finding.id, finding.severity) == ("not_checked", "notice")


def test_thresholds_follow_from_the_settings() -> None:
    """A message may wait for those ahead of it, each as long as a task may take."""
    addresses = {
        "database_url": "postgresql://a/b",
        "broker_url": "redis://a",
        "result_backend": "redis://a",
    }
    settings = Settings.model_validate(addresses)
    assert Thresholds.of(settings) == USUAL


def test_the_command_checks_the_broker_where_one_is_set(
    broker: Broker, servers: LocalStack
) -> None:
    """Where only the database is known, it says nothing of the broker."""
    broker.take()
    broker.age()
    environment = {"CELERY_BROKER_URL": broker.url}
    output = Operator(servers.postgres.url, environment).refused("doctor")
    assert "reserved_without_progress" in output
    environment["CELERY_BROKER_URL"] = ""
    alone = Operator(servers.postgres.url, environment).run("doctor")
    assert "reserved_without_progress" not in alone.output
