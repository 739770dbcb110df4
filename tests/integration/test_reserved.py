"""``dead-letters reserved`` and ``return``: who holds which message, and how it comes back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from kombu import Connection
from kombu.transport.redis import Transport

from tests.support.envelopes import body_of, envelope
from worker import broker as connections
from worker.cli.dead_letters import dead_letters as command
from worker.local import LocalStack
from worker.settings import load
from worker.transport.held import HeldMessages, Keys
from worker.transport.inspection import STOCK, Inspection

RECIPIENT = "Ada Lovelace"
ALIVE, DEAD, UNRECORDED = "node/1", "node/2", "node/3"
URGENT = "render\x06\x163"


class Broker:
    """A database with three consumers: one is alive, one dead, one is not even recorded."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = redis.Redis.from_url(url)
        self.client.flushdb()
        self.sent: list[bytes] = []
        self.held = {
            name: HeldMessages(self.client, Keys(), name, 60) for name in (ALIVE, DEAD, UNRECORDED)
        }

    def send(self, count: int, source: str = "render") -> None:
        """Put messages on a list."""
        for _ in range(count):
            _, made = envelope("render.one", body_of({"name": RECIPIENT}))
            self.sent.append(json.dumps(made).encode())
            self.client.lpush(source, self.sent[-1])

    def die(self) -> None:
        """Have a lease end, and another be lost."""
        self.client.zadd("unacked:consumers", {DEAD: 1000})
        self.client.zrem("unacked:consumers", UNRECORDED)

    def waiting(self, source: str = "render") -> list[bytes]:
        """Return a list, what is taken next first."""
        entries: list[bytes] = self.client.lrange(source, 0, -1)
        return entries[::-1]


@pytest.fixture
def broker(servers: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Give two messages to each consumer; one more of the urgent ones is delayed, two wait."""
    broker = Broker(servers.valkey.url_of(6))
    for name, value in servers.addresses().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CELERY_BROKER_URL", broker.url)
    load.cache_clear()
    broker.send(8)
    for held in broker.held.values():
        held.take([["render"]], 2)
    broker.send(1, URGENT)
    (urgent,) = broker.held[ALIVE].take([[URGENT]], 1)
    broker.held[ALIVE].delay(urgent.tag, 600)
    broker.die()
    yield broker
    broker.client.flushdb()
    broker.client.close()
    load.cache_clear()


def run(*arguments: str, answer: str = "") -> Result:
    """Run a command."""
    return CliRunner().invoke(command, arguments, input=answer)


def reserved() -> dict[str, list[dict[str, Any]]]:
    """Return what the command lists."""
    done = run("reserved", "--json")
    assert done.exit_code == 0, done.output
    rows: dict[str, list[dict[str, Any]]] = json.loads(done.output)
    return rows


def test_reserved_messages_are_listed_by_consumer(broker: Broker) -> None:
    """By consumer, alive or dead; names only, nothing of what producers sent."""
    listed = reserved()
    rows = [(row["consumer"], row["state"], row["tag"]) for row in listed["reserved"]]
    assert rows == [
        (ALIVE, "alive", "1"),
        (ALIVE, "alive", "2"),
        (DEAD, "dead", "1"),
        (DEAD, "dead", "2"),
        (UNRECORDED, "dead", "1"),
        (UNRECORDED, "dead", "2"),
    ]
    ids = [json.loads(raw)["headers"]["id"] for raw in broker.sent]
    assert [row["id"] for row in listed["reserved"]] == ids[:6]
    for row in listed["reserved"]:
        assert (row["queue"], row["task"], row["deliveries"]) == ("render", "render.one", 0)
        taken = datetime.fromisoformat(row["since"]).replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - taken) < timedelta(minutes=1)
    (delayed,) = listed["delayed"]
    assert (delayed["queue"], delayed["id"]) == ("render", ids[8])
    due = datetime.fromisoformat(delayed["due"]).replace(tzinfo=UTC)
    assert timedelta(minutes=9) < due - datetime.now(UTC) < timedelta(minutes=11)
    table = run("reserved").output
    assert all(word in table for word in (ALIVE, "alive", "dead", ids[0], ids[8]))
    assert RECIPIENT not in table
    assert RECIPIENT not in json.dumps(listed)


def test_the_list_ends_at_the_limit(broker: Broker) -> None:
    """There may be thousands."""
    assert len(json.loads(run("reserved", "--limit", "3", "--json").output)["reserved"]) == 3


def test_redeliveries_are_shown(broker: Broker) -> None:
    """How often a consumer died with the message."""
    digest = broker.client.eval("return redis.sha1hex(ARGV[1])", 0, broker.sent[0])
    broker.client.hset("unacked:deliveries", digest, 2)
    assert [row["deliveries"] for row in reserved()["reserved"]] == [2, 0, 0, 0, 0, 0]


def test_messages_of_dead_consumers_are_returned(broker: Broker) -> None:
    """Byte for byte, where they are taken next in their order; what lives is left alone."""
    done = run("return", "--all", answer="y\n")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "Returned 4 messages."
    assert sorted(broker.waiting()[:4]) == sorted(broker.sent[2:6])
    assert broker.waiting()[4:] == broker.sent[6:8]
    for first, second in (broker.sent[2:4], broker.sent[4:6]):
        assert broker.waiting().index(first) < broker.waiting().index(second)
    assert {row["consumer"] for row in reserved()["reserved"]} == {ALIVE}
    assert run("return", "--all").output == "Returned 0 messages.\n"


def test_a_message_is_returned_by_its_tag(broker: Broker) -> None:
    """The others of the consumer stay."""
    assert run("return", DEAD, "2", "--yes").output == "Returned 1 message.\n"
    assert broker.waiting() == [broker.sent[3], *broker.sent[6:8]]
    assert run("return", DEAD, "--yes").output == "Returned 1 message.\n"
    missing = run("return", DEAD, "2", "--yes")
    assert missing.exit_code == 1
    assert f"{DEAD} holds no message 2" in missing.output


def test_messages_of_a_live_consumer_need_force(broker: Broker) -> None:
    """It may be working on the message, which is done twice then."""
    refused = run("return", ALIVE, "--yes")
    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert broker.waiting() == broker.sent[6:8]
    assert run("return", ALIVE, "1", "--force", "--yes").output == "Returned 1 message.\n"
    assert broker.waiting() == [broker.sent[0], *broker.sent[6:8]]


def test_a_consumer_that_is_alive_again_keeps_its_messages(broker: Broker) -> None:
    """It is looked at once more in the very step that returns them."""
    inspection = Inspection(broker.client, Keys())
    broker.held[DEAD].renew(sweeps=False)
    assert inspection.put_back(DEAD, ["1"]) is None
    assert inspection.put_back(DEAD, ["1"], may_be_alive=True) == 1


def test_return_without_a_confirmation_changes_nothing(broker: Broker) -> None:
    """Nothing is returned."""
    assert run("return", "--all").exit_code == 1
    assert broker.waiting() == broker.sent[6:8]


@pytest.mark.parametrize("arguments", [(), ("--all", DEAD)])
def test_return_needs_a_consumer_or_all(broker: Broker, arguments: tuple[str, ...]) -> None:
    """No consumer is not all of them."""
    assert run("return", *arguments).exit_code == 2


def test_a_missing_consumer_is_an_error(broker: Broker) -> None:
    """The command says where to look."""
    done = run("return", "node/9", "--yes")
    assert done.exit_code == 1
    assert "consumer node/9 does not exist" in done.output


def test_messages_of_kombus_transport_are_returned_with_force(broker: Broker) -> None:
    """Kombu does not record who took it, so the flag is needed; its priority stays."""
    with Connection(broker.url, transport=Transport) as connection:
        with connection.Producer() as producer:
            producer.publish({"n": 1}, routing_key="templates", priority=4, serializer="json")
        message = connection.SimpleQueue("templates").get(timeout=5)
        (row,) = [row for row in reserved()["reserved"] if row["consumer"] == STOCK]
        assert (row["state"], row["queue"]) == ("unknown", "templates")
        assert row["since"] is not None
        assert run("return", STOCK, "--yes").exit_code == 1
        assert run("return", STOCK, row["tag"], "--force", "--yes").exit_code == 0
        assert not broker.client.exists("unacked", "unacked_index")
        assert broker.client.llen("templates\x06\x163") == 1
        again = connection.SimpleQueue("templates").get(timeout=5)
        assert again.payload == message.payload
        again.ack()
        message.ack()


def test_rabbitmq_refers_to_its_own_command(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence names the command of RabbitMQ."""
    monkeypatch.setattr(connections, "connection", lambda _: Connection("memory://"))
    done = run("reserved")
    assert done.exit_code == 1
    assert "rabbitmqctl" in done.output
