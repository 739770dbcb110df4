"""Dead letters: listed without what they hold, shown, replayed as they came, and discarded."""

import base64
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport import virtual

from db.errors import OperationError
from tests.support.envelopes import body_of, envelope
from tests.support.letters import every_letter
from tests.support.tasks import Tasks
from worker import dead_letters
from worker.cli.dead_letters import dead_letters as command
from worker.dead_letters import document
from worker.declared_queues import DEAD_LETTERS
from worker.local import LocalStack
from worker.settings import load
from worker.transport import letters as transport_letters

RECIPIENT = "Ada Lovelace"


@pytest.fixture(params=["redis", "memory"])
def connection(request: pytest.FixtureRequest, servers: LocalStack) -> Iterator[Connection]:
    """Give an empty queue: on the list of Redis, and on a broker that hands messages out."""
    url = servers.valkey.url_of(3) if request.param == "redis" else "memory://"
    with Connection(url) as connection:
        with connection.channel() as channel:
            DEAD_LETTERS(channel).declare()
            DEAD_LETTERS(channel).purge()
        yield connection


def add_letter(connection: Connection, *, reason: str = "unknown_task: none", age: int = 0) -> str:
    """Keep a message as a worker does, and return its letter's id."""
    task_id, made = envelope("no.such.task", body_of({"name": RECIPIENT}))
    message = SimpleNamespace(
        body=base64.b64decode(made["body"]),
        headers=made["headers"] | {"kwargsrepr": RECIPIENT},
        properties=made["properties"],
        content_type=made["content-type"],
        content_encoding=made["content-encoding"],
        delivery_info={"exchange": "", "routing_key": "render"},
    )
    with Celery(set_as_current=False) as app:
        app.conf.update(broker_read_url=connection.as_uri(include_password=True))
        app.conf.update(broker_write_url=connection.as_uri(include_password=True))
        with pytest.MonkeyPatch.context() as patch:
            if age:
                kept = datetime.now(UTC) - timedelta(days=age)
                patch.setattr(document, "datetime", SimpleNamespace(now=lambda _: kept))
            dead_letters.send(app, message, reason)
    (letter,) = (
        letter for letter in every_letter(connection) if letter.headers.get("id") == task_id
    )
    return letter.id


def ids(connection: Connection) -> list[str]:
    """Return the letters that are there."""
    return [letter.id for letter in every_letter(connection)]


def taken(connection: Connection, queue: str) -> list[Any]:
    """Take the messages of a queue."""
    received: list[Any] = []
    with connection.SimpleQueue(queue) as messages:
        while True:
            try:
                message = messages.get(block=False)
            except messages.Empty:
                return received
            message.ack()
            received.append(message)


def test_reading_dead_letters_changes_nothing(connection: Connection) -> None:
    """Neither how many there are nor, where a list can be looked at, their order."""
    added = [add_letter(connection) for _ in range(5)]
    assert ids(connection) == added
    assert every_letter(connection)[1].id == added[1]
    letter = dead_letters.find(connection, added[3])
    assert letter is not None
    assert json.loads(letter.body)[1] == {"name": RECIPIENT}
    assert dead_letters.find(connection, "nothing") is None
    left = ids(connection)
    assert sorted(left) == sorted(added)
    assert left == added or connection.transport.driver_type != "redis"


def test_a_replayed_message_is_unchanged(connection: Connection) -> None:
    """Body, headers, types and the ids that answers go to; the letter is gone afterwards."""
    first, second = add_letter(connection), add_letter(connection)
    letter = every_letter(connection)[0]
    assert dead_letters.replay(connection, {first}) == [first]
    (message,) = taken(connection, "render")
    assert message.body == letter.body
    assert message.headers == letter.headers
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.properties["correlation_id"] == letter.headers["id"]
    assert ids(connection) == [second]
    assert dead_letters.replay(connection, {first}) == []


def test_an_interrupted_replay_loses_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it takes two steps, the message is on its queue before its letter goes."""
    with Connection("memory://") as connection:
        DEAD_LETTERS(connection.default_channel).purge()
        letter = add_letter(connection)
        with monkeypatch.context() as patch:
            patch.setattr(virtual.Channel, "basic_ack", _cut_off)
            with pytest.raises(KeyboardInterrupt):
                dead_letters.replay(connection, {letter})
        assert len(taken(connection, "render")) == 1
        assert ids(connection) == [letter]
        assert dead_letters.discard(connection, {letter}) == [letter]


def test_a_dead_letter_of_unknown_origin_needs_a_queue(connection: Connection) -> None:
    """It may have come to a queue that this service does not have."""
    with connection.Producer() as producer:
        producer.publish("junk", routing_key=DEAD_LETTERS.name, content_type="text/plain")
        producer.publish(
            {"reason": "x", "delivery_info": {"routing_key": "elsewhere"}, "body": "eA=="},
            routing_key=DEAD_LETTERS.name,
        )
    junk, other = ids(connection)
    for letter in (junk, other):
        with pytest.raises(OperationError, match="is unknown") as caught:
            dead_letters.replay(connection, {letter})
        assert caught.value.kind == "no_queue"
    assert ids(connection) == [junk, other]
    assert dead_letters.replay(connection, {other}, "render") == [other]
    assert taken(connection, "render")[0].body == b"x"
    assert dead_letters.discard(connection, {junk}) == [junk]


def test_old_letters_are_pruned(connection: Connection) -> None:
    """Those without a time are for people to look at."""
    old = [add_letter(connection, age=31) for _ in range(3)]
    young = add_letter(connection, age=29)
    with connection.Producer() as producer:
        producer.publish({"reason": "of long ago"}, routing_key=DEAD_LETTERS.name)
    assert dead_letters.prune(connection, 30, dry_run=True) == 3
    assert set(ids(connection)) > {*old, young}
    assert dead_letters.prune(connection, 30, dry_run=False) == 3
    left = ids(connection)
    assert (young in left, len(left)) == (True, 2)


def test_concurrent_prunes_count_each_letter_once(servers: LocalStack) -> None:
    """And lose none that stays."""
    url = servers.valkey.url_of(3)
    with Connection(url) as connection:
        connection.default_channel.client.delete(DEAD_LETTERS.name)
        template = every_letter(connection)
        assert not template
        old, young = add_letter(connection, age=40), add_letter(connection)
        (raw_young, raw_old) = connection.default_channel.client.lrange(DEAD_LETTERS.name, 0, -1)
        more = []
        for _ in range(150):
            for raw in (raw_young, raw_old):
                wrapped = json.loads(raw)
                wrapped["properties"]["delivery_tag"] = str(uuid.uuid4())
                more.append(json.dumps(wrapped))
        connection.default_channel.client.lpush(DEAD_LETTERS.name, *more)

    def prune(_: int) -> int:
        with Connection(url) as own:
            return dead_letters.prune(own, 30, dry_run=False)

    with ThreadPoolExecutor(2) as pool:
        pruned = sum(pool.map(prune, range(2)))
    with Connection(url) as connection:
        pruned += dead_letters.prune(connection, 30, dry_run=False)
        assert (pruned, ids(connection)) == (151, [young] * 151)
        assert old != young
        connection.default_channel.client.delete(DEAD_LETTERS.name)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5))
def test_pruning_while_paging_misses_none(
    servers: LocalStack, is_old: list[bool], page: int
) -> None:
    """However old and young ones lie, and wherever a page ends."""
    now = datetime.now(UTC)
    with Connection(servers.valkey.url_of(4)) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport_letters, "PAGE", page)
        connection.default_channel.client.delete(DEAD_LETTERS.name)
        with connection.Producer() as producer:
            for number, old in enumerate(is_old):
                kept_at = now - timedelta(days=40 * old)
                letter = {"reason": str(number), "kept_at": kept_at.isoformat()}
                producer.publish(letter, routing_key=DEAD_LETTERS.name)
        assert dead_letters.prune(connection, 30, dry_run=False) == sum(is_old)
        left = [letter.reason for letter in every_letter(connection)]
        assert left == [str(number) for number, old in enumerate(is_old) if not old]


def test_prune_records_deletes_old_dead_letters(tasks: Tasks, servers: LocalStack) -> None:
    """On the broker that its message came from; a dry run only counts."""
    with Connection(servers.valkey.url) as connection:
        connection.default_channel.client.delete(DEAD_LETTERS.name)
        add_letter(connection, age=31)
        young = add_letter(connection, age=29)
        for dry_run, left in ((True, 2), (False, 1)):
            answer = tasks.call("maintenance.prune_records", {"dry_run": dry_run})
            assert (answer["dead_letters"], len(ids(connection))) == (1, left)
        assert tasks.call("maintenance.prune_records")["dead_letters"] == 0
        assert ids(connection) == [young]
        connection.default_channel.client.delete(DEAD_LETTERS.name)


class TestCommands:
    """``template-service dead-letters``."""

    @pytest.fixture
    def letters(self, servers: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
        """Give the queue that the settings name, empty."""
        for name, value in servers.addresses().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CELERY_BROKER_URL", servers.valkey.url_of(3))
        load.cache_clear()
        with Connection(servers.valkey.url_of(3)) as connection:
            connection.default_channel.client.delete(DEAD_LETTERS.name)
            yield connection
            connection.default_channel.client.delete(DEAD_LETTERS.name, "render")
        load.cache_clear()

    def run(self, *arguments: str, answer: str = "") -> Result:
        """Run a command."""
        return CliRunner().invoke(command, arguments, input=answer)

    def test_the_list_shows_no_contents_of_messages(self, letters: Connection) -> None:
        """Times, reasons and ids; nothing of what the producer sent."""
        assert self.run("list").output == "no dead letters\n"
        letter = add_letter(letters, age=2)
        for arguments in (("list",), ("list", "--json"), ("show", letter)):
            done = self.run(*arguments)
            assert done.exit_code == 0, done.output
            assert all(word in done.output for word in (letter, "no.such.task", "unknown_task"))
            assert RECIPIENT not in done.output
        whole = json.loads(self.run("show", letter, "--body", "--json").output)
        assert RECIPIENT in whole["body"]
        assert whole["headers"]["kwargsrepr"] == RECIPIENT

    def test_replay_asks_for_confirmation_and_reports_the_number(self, letters: Connection) -> None:
        """Asks first, and says how many."""
        replayed, other = add_letter(letters), add_letter(letters)
        assert self.run("replay", replayed, answer="n\n").exit_code == 1
        assert ids(letters) == [replayed, other]
        done = self.run("replay", replayed, answer="y\n")
        assert (done.exit_code, done.output.splitlines()[-1]) == (0, "Replayed 1 dead letter.")
        assert ids(letters) == [other]
        assert len(taken(letters, "render")) == 1

    def test_discard_deletes_named_or_all_letters(self, letters: Connection) -> None:
        """By name, or all of them."""
        letter_ids = [add_letter(letters) for _ in range(3)]
        assert self.run("discard", letter_ids[1], "--yes").exit_code == 0
        assert ids(letters) == [letter_ids[0], letter_ids[2]]
        done = self.run("discard", "--all", "--yes")
        assert done.output == "Deleted 2 dead letters.\n"
        assert ids(letters) == []

    @pytest.mark.parametrize("verb", ["show", "replay", "discard"])
    def test_a_missing_letter_is_an_error(self, letters: Connection, verb: str) -> None:
        """Somebody else was quicker."""
        assert ids(letters) == []
        done = self.run(verb, "0123456789ab", *(["--yes"] if verb != "show" else []))
        assert done.exit_code == 1
        assert "dead letter 0123456789ab does not exist" in done.output

    @pytest.mark.usefixtures("letters")
    @pytest.mark.parametrize("arguments", [(), ("--all", "0123456789ab")])
    def test_letters_must_be_named_unless_all_is_given(self, arguments: tuple[str, ...]) -> None:
        """No letter is not all letters."""
        assert self.run("discard", *arguments).exit_code == 2

    @pytest.mark.usefixtures("letters")
    def test_an_unavailable_broker_is_an_error_without_a_password(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sentence, and no password."""
        monkeypatch.setenv("CELERY_BROKER_URL", "redis://:sekret@127.0.0.1:1/0")
        load.cache_clear()
        done = self.run("list")
        assert done.exit_code == 1
        assert "the broker does not answer" in done.output
        assert "sekret" not in done.output
        assert "Traceback" not in done.output


def _cut_off(*_: object) -> bool:
    raise KeyboardInterrupt
