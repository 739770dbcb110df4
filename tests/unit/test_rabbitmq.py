"""RabbitMQ without a broker: declarations, headers, the prefetch window, undecodable properties."""

import base64
import inspect
import random
import struct
from datetime import UTC, datetime
from typing import Any

import amqp
import pytest
from amqp import method_framing, spec
from amqp.serialization import decode_properties_basic
from hypothesis import given
from hypothesis import strategies as st
from kombu import transport
from kombu.transport import pyamqp

from tests.support.cases import each
from worker import rabbitmq
from worker.queues import QueueName
from worker.rabbitmq import frames
from worker.rabbitmq.declarations import Declaration
from worker.rabbitmq.prefetch import MOST_WAITING, Window
from worker.rabbitmq.transport import ALIASES

DIED = datetime(2026, 11, 27, 1, 35, 11)  # noqa: DTZ001 - as py-amqp reads times
DEATH = {"reason": "delivery_limit", "queue": "render", "time": DIED, "count": 1}


class TestDeclarations:
    """How missing queues are created."""

    def test_classic_queues_are_as_celery_declares_them(self) -> None:
        """Without arguments, so that a producer's declaration does not differ."""
        for queue in QueueName:
            assert Declaration("classic", 20).arguments(queue.value, (4, 1)) == {}

    @each("version", [(3, 10), (3, 13), (4, 0), (4, 1)])
    def test_quorum_queues_keep_what_they_give_up(self, version: tuple[int, ...]) -> None:
        """It stays in its queue until that of dead letters has confirmed it."""
        arguments = Declaration("quorum", 7).arguments("render", version)
        assert arguments["x-queue-type"] == "quorum"
        assert arguments["x-delivery-limit"] == 7
        assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == (
            "",
            "dead-letters",
        )
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish"

    def test_dead_letters_may_be_looked_at_without_limit(self) -> None:
        """RabbitMQ 4 has a limit by default; older versions refuse the argument -1."""
        declaration = Declaration("quorum", 20)
        assert declaration.arguments("dead-letters", (3, 13)) == {"x-queue-type": "quorum"}
        assert declaration.arguments("dead-letters", (4, 0))["x-delivery-limit"] == -1


class TestHeaders:
    """What the broker adds."""

    def test_a_death(self) -> None:
        """The last one is the first of the list."""
        death = rabbitmq.death({"x-death": [DEATH, DEATH | {"queue": "other"}]})
        assert death is not None
        assert death.queue == "render"
        assert death.reason.startswith("delivery_limit: ")
        assert death.moment == DIED.replace(tzinfo=UTC)

    @each("deaths", [None, [], "x", [{}], [DEATH | {"time": 5}], [DEATH | {"queue": None}]])
    def test_what_is_none(self, deaths: object) -> None:
        """A producer may have written anything there."""
        assert rabbitmq.death({"x-death": deaths}) is None

    @each(
        ("count", "redelivered", "expected"),
        [
            (3, True, 3),
            (0, True, 0),
            (None, True, 0),
            ("3", True, 0),
            (True, True, 0),
            (1000, False, 0),
        ],
    )
    def test_deliveries(self, count: object, redelivered: bool, expected: int) -> None:  # noqa: FBT001 - a case
        """Only the broker writes the header of a message that was delivered before."""
        returns = rabbitmq.deliveries({"x-delivery-count": count}, {"redelivered": redelivered})
        assert returns == expected

    def test_a_retry_carries_none_of_them(self) -> None:
        """They would not be true of it."""
        headers = {"task": "a", "x-mine": 1, "x-delivery-count": 2, "x-death": []}
        headers |= {"x-first-death-queue": "render", "x-last-death-reason": "rejected"}
        assert rabbitmq.without_broker_headers(headers) == {"task": "a", "x-mine": 1}


def window_of(count: int) -> Window:
    """Return a window with one consumer, ``first``."""
    window = Window(count)
    window.open("first")
    return window


class TestPrefetch:
    """Messages that wait for their ETA keep no place."""

    def test_waiting_messages_make_it_narrow(self) -> None:
        """From half the count on."""
        window = window_of(8)
        for tag in range(8):
            assert window.is_narrow == (tag >= 4)
            window.add(tag, "first", has_eta=True)
        window.open("second")
        assert not window.is_narrow

    def test_plain_messages_never_do(self) -> None:
        """They are what the count is for."""
        window = window_of(8)
        for tag in range(8):
            window.add(tag, "first", has_eta=False)
            assert not window.is_narrow

    def test_a_consumer_is_cancelled_when_no_message_can_be_on_its_way_to_it(self) -> None:
        """A quorum queue would count the return of that message as a failed delivery."""
        window = window_of(8)
        for tag in range(4):
            window.add(tag, "first", has_eta=True)
        window.open("second")
        for tag in range(4, 8):
            assert list(window.close_dispensable()) == []
            window.add(tag, "first", has_eta=True)
        assert list(window.close_dispensable()) == ["first"]
        assert list(window.consumers) == ["second"]

    def test_a_consumer_is_cancelled_when_its_messages_no_longer_wait(self) -> None:
        """It would take messages that other workers could run."""
        window = window_of(8)
        for tag in range(4):
            window.add(tag, "first", has_eta=True)
        window.open("second")
        window.remove(0)
        assert list(window.close_dispensable()) == ["first"]

    def test_it_holds_so_many_and_no_more(self) -> None:
        """The rest stays in the broker."""
        window = window_of(8)
        for tag in range(MOST_WAITING):
            window.add(tag, "first", has_eta=True)
        assert not window.is_narrow

    def test_a_worker_without_a_count(self) -> None:
        """Gets everything anyway."""
        window = window_of(0)
        window.add(1, "first", has_eta=True)
        assert not window.is_narrow
        assert list(window.close_dispensable()) == []

    @given(st.integers(1, 20), st.integers(0, 2**32), st.floats(0, 1))
    def test_plain_messages_stay_bounded(self, count: int, seed: int, share: float) -> None:
        """By two counts, in whatever order messages come and are settled."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        window, tag = window_of(count), 0
        for step in range(300):
            open_ones = [name for name, tags in window.consumers.items() if len(tags) < count]
            unsettled = sorted(window.plain | window.waiting)
            if open_ones and chance.random() < 0.7:
                tag += 1
                window.add(tag, chance.choice(open_ones), has_eta=chance.random() < share)
            elif unsettled:
                window.remove(chance.choice(unsettled))
            if window.is_narrow:
                window.open(f"{step}")
            list(window.close_dispensable())
            assert len(window.plain) <= 2 * count
            # There is room for a message, or as many run as may.
            room = any(len(tags) < count for tags in window.consumers.values())
            assert room or len(window.plain) > count // 2


class TestFrames:
    """Properties that py-amqp cannot decode."""

    def test_good_ones_are_left_alone(self) -> None:
        """Byte for byte."""
        message = amqp.Message("x", application_headers={"a": [1, {"b": "ü"}]}, type="t")
        assert passed(message._serialize_properties()) == message.properties

    @pytest.mark.parametrize(
        "raw",
        [
            pytest.param(b"\x04\x00\x02\xff\xfe", id="text"),
            pytest.param(
                b"\x20\x00\x00\x00\x00\x0a\x01xT\x00\x00\x01\x8b\xcf\xe5\x68\x00", id="time"
            ),
            pytest.param(b"\x20\x00\x00\x00\x00\x03\x01\xffV", id="name"),
            pytest.param(b"\x20\x00\x00\x00\x00\x03\x01x?", id="type"),
            pytest.param(b"\x20\x00\x00\x00", id="cut off"),
        ],
    )
    def test_bad_ones_are_kept_as_they_came(self, raw: bytes) -> None:
        """In a header, as base64."""
        headers = passed(raw)["application_headers"]
        assert base64.b64decode(headers[frames.UNDECODABLE]) == raw

    @given(st.binary(max_size=60))
    def test_nothing_raises(self, raw: bytes) -> None:
        """Whatever bytes there are."""
        passed(raw)


def passed(raw: bytes) -> dict[str, Any]:
    """Return the properties of a message as they pass the frame handler."""
    taken: list[Any] = []

    class Connection:
        bytes_recv = 0

    def callback(*arguments: object) -> None:
        taken.append(arguments[-1])

    on_frame = frames.tolerant_frame_handler(Connection(), callback)
    deliver = struct.pack(">HH", 60, 60)
    on_frame((1, 1, deliver))
    on_frame((2, 1, struct.pack(">HHQ", 60, 0, 0) + raw))
    (message,) = taken
    properties: dict[str, Any] = message.properties
    return properties


def test_a_channel_that_both_sides_close_at_once_is_closed() -> None:
    """The broker answers with nothing but its own request, as after a refused event."""

    class Connection:
        is_closing = False
        drained = 0

        def drain_events(self, **_: object) -> None:
            self.drained += 1
            channel._on_close(403, "ACCESS_REFUSED", 60, 40)

    channel = rabbitmq.Channel.__new__(rabbitmq.Channel)
    channel._pending, channel.is_closing, channel.connection = {}, True, Connection()
    channel.send_method = lambda *_, **__: None
    channel.wait(spec.Channel.CloseOk)
    assert channel.connection.drained == 1


def test_the_names_of_other_libraries_are_there() -> None:
    """Those that the package uses beyond what is documented."""
    assert {"amqp", "amqps", "pyamqp"} <= set(transport.TRANSPORT_ALIASES)
    assert set(ALIASES) == {
        name
        for name, path in transport.TRANSPORT_ALIASES.items()
        if path.startswith(("kombu.transport.pyamqp", "worker.rabbitmq"))
    }
    signatures = {
        pyamqp.Transport.qos_semantics_matches_spec: ["self", "connection"],
        pyamqp.Channel.prepare_message: ["self", "body"],
        amqp.Channel._basic_publish: ["self", "msg", "exchange", "routing_key"],
        amqp.Channel.basic_publish_confirm: ["self"],
        amqp.Channel.basic_consume: ["self", "queue", "consumer_tag"],
        amqp.Channel.basic_qos: ["self", "prefetch_size", "prefetch_count", "a_global"],
        amqp.Channel.basic_reject: ["self", "delivery_tag", "requeue"],
        amqp.Channel.basic_ack: ["self", "delivery_tag"],
        amqp.Channel._do_revive: ["self"],
        amqp.Channel.collect: ["self"],
        method_framing.frame_handler: ["connection", "callback"],
        decode_properties_basic: ["buf", "offset"],
    }
    for function, expected in signatures.items():
        names = list(inspect.signature(function).parameters)
        assert names[: len(expected)] == expected, function.__qualname__
    connection = inspect.signature(amqp.Connection.__init__).parameters
    assert {"frame_handler", "confirm_publish", "kwargs"} <= set(connection)
    channel = inspect.signature(amqp.Channel.__init__).parameters
    assert list(channel) == ["self", "connection", "channel_id", "auto_decode", "on_open"]
