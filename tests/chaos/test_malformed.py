"""Messages that are not in order, among others that are: the worker keeps every bad one, and lives.

Each is put on a queue as raw bytes. What may be refused is said by ``worker.envelope``, which
tests/unit/test_envelope_model.py holds against Celery itself; here it is held against a worker.
"""

import base64
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable

from db.cluster.processes import wait_until
from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import Contents
from tests.support.clients import celery, raw, with_body
from tests.support.malformed import malformed
from tests.support.malformed_case import DEEP, MEGABYTE, task_id_of
from tests.support.mutations import mutations
from worker.dead_letters.queue import body_of
from worker.envelope import Refusal, Rules, read
from worker.settings import Settings

QUEUES = itertools.cycle(("render", "templates", "render-bulk"))
MOST_MEMORY = 300 * MEGABYTE
NOBODY = {"template_id": "no-such-template"}


def test_every_malformed_message_is_a_dead_letter_and_the_worker_lives(chaos: Chaos) -> None:
    """A good message after each is answered; the dead letters hold the bad ones, byte for byte."""
    entries = {case.name: case.entry for case in malformed()}
    send_all(chaos, entries.values())
    kept = kept_after(chaos, len(entries))
    assert [name for name, entry in entries.items() if not kept[entry]] == []
    assert kept == Counter(entries.values())


def test_mutated_messages_are_dead_letters_or_answered_and_the_worker_lives(chaos: Chaos) -> None:
    """Whatever a producer's defect or a broken network makes of a message."""
    entries = list(mutations(int(chaos.seed), chaos.times(150, 10_000)))
    send_all(chaos, entries)
    rules = rules_of(chaos)
    refused = Counter(
        entry for entry in entries if isinstance(read(entry, rules, "render"), Refusal)
    )
    assert refused
    # An accepted message may call others, whose tasks need not exist; those are letters too.
    pushed = set(entries)
    kept = kept_after(chaos, refused.total())
    assert Counter({entry: count for entry, count in kept.items() if entry in pushed}) == refused


def test_entries_too_large_to_fetch_are_dead_letters_and_the_worker_lives(chaos: Chaos) -> None:
    """Waiting together, and while the worker is idle; its main process does not grow by them."""
    megabytes = chaos.times(40, 200)
    name = "an entry that takes seconds to fetch"
    entry = raw(celery(task_id=task_id_of(name)) | {"body": "A" * (megabytes * MEGABYTE)})
    node = chaos.stack.node()
    with chaos.stack.broker as broker:
        with chaos.stack.stopped(node.pid):
            for _ in range(2):
                broker.lpush("render", entry)
        send_all(chaos, [entry])
        answer = chaos.producer.stored(task_id_of(name), chaos.within(15))
        assert answer["result"]["exc_type"] == "TooLarge"
        assert chaos.stack.node().memory_info().rss < MOST_MEMORY
        letters = broker.lrange("dead-letters", 0, -1)
    assert set(map(raw_of, letters)) == {entry}


def test_malformed_broadcasts_are_dropped_and_the_worker_lives(chaos: Chaos) -> None:
    """Remote control, which any client may send, and which kombu decodes apart from tasks."""
    ping = celery(properties={"delivery_info": {"exchange": "celery.pidbox", "routing_key": ""}})
    odd: list[object] = [None, 7, "x", []]
    commands: list[object] = [
        None,
        {"method": "cancel_consumer", "arguments": {"queue": []}},
        {"method": "add_consumer", "arguments": {"queue": "unacked:consumers"}},
        {"method": "pool_shrink", "arguments": {"n": 99}},
    ]
    entries = [
        *(b"", b"7", b"null", b"[]", b"{}", b"\xff", b"[" * DEEP),
        *(raw(ping | {name: value}) for name in ping for value in odd),
        *(raw(with_body(ping, json.dumps(command).encode())) for command in commands),
    ]
    pid = chaos.stack.worker.pid
    with chaos.stack.broker as broker:
        for entry in entries:
            assert broker.publish("/0.celery.pidbox", entry) == 1
        chaos.producer.stored(chaos.producer.send("template.get", NOBODY), chaos.within(15))
        assert broker.publish("/0.celery.pidbox", b"7") == 1
    assert chaos.stack.worker.pid == pid
    assert chaos.producer.app.control.inspect(timeout=chaos.within(5), limit=1).ping()


def send_all(chaos: Chaos, entries: Iterable[bytes]) -> None:
    """Put raw messages on queues, each before one that must be answered, all by one worker."""
    pid = chaos.stack.worker.pid
    slowest = 0.0
    with chaos.stack.broker as broker:
        for entry in entries:
            queue = next(QUEUES)
            broker.lpush(queue, entry)
            begun = time.monotonic()
            chaos.producer.stored(
                chaos.producer.send("template.get", NOBODY, queue=queue),
                timeout=chaos.within(15),
            )
            slowest = max(slowest, time.monotonic() - begun)
    chaos.note(f"a good message after a bad one was answered within {slowest:.2f} s")
    assert chaos.stack.worker.pid == pid


def rules_of(chaos: Chaos) -> Rules:
    """Return the rules of the worker: default settings, and the tasks that it says it has."""
    (tasks,) = (chaos.producer.app.control.inspect(timeout=5).registered() or {}).values()
    settings = Settings.model_validate(
        {
            "database_url": chaos.stack.postgres.url,
            "broker_url": chaos.stack.valkey.url,
            "result_backend": chaos.stack.valkey.url_of(1),
        }
    )
    return Rules.of(settings, tasks)


def kept_after(chaos: Chaos, expected: int) -> Counter[bytes]:
    """Return the raw messages in the dead letters, once there are enough and nothing waits."""
    with chaos.stack.broker as broker:
        wait_until(lambda: broker.llen("dead-letters") >= expected, chaos.within(10))
        # What is accepted of mutations may ask for a time in the future; nothing else is left.
        assert wait_until(lambda: not Contents.of(broker).waiting, chaos.within(10))
        return Counter(map(raw_of, broker.lrange("dead-letters", 0, -1)))


def raw_of(letter: bytes) -> bytes:
    """Return the message that a dead letter holds."""
    content = json.loads(body_of(letter))
    return base64.b64decode(content["raw"])
