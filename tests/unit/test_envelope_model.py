"""What the check of an envelope accepts, kombu and Celery take through every outcome.

The model is compared with the real thing: see `tests.support.main_process`.
ENVELOPE_MUTATIONS sets how many mutated messages are tried, ENVELOPE_SEED which.
"""

import base64
import itertools
import json
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from celery import _state, chain, chord, group
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.cases import each
from tests.support.clients import CLIENTS, KEYWORDS, QUEUE, RESULTS, TASK, celery, raw
from tests.support.main_process import OUTCOMES, MainProcess, formatted_logs
from tests.support.mutations import mutations
from worker.declared_queues import QUEUES
from worker.envelope import Envelope, Parts, Refusal, Rules, check, read
from worker.node.decoding import use_plain_json
from worker.queues import ROUTES, QueueName

MUTATIONS: Final = int(os.environ.get("ENVELOPE_MUTATIONS", "3000"))
"""Ten seconds' worth."""

RULES: Final = Rules(
    tasks=frozenset({TASK, "render.batch", "template.get"}),
    callbacks=re.compile(".*"),
    longest_wait=1800,
    message_bytes=1024 * 1024,
    batch_bytes=4 * 1024 * 1024,
)
CELERY: Final[dict[str, Any]] = {
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_retry_on_worker_lost": True,
    "task_soft_time_limit": 20,
    "task_time_limit": 30,
    # As in worker.celery_settings.
    "task_annotations": {"*": {"Request": "worker.node.request:Request", "max_retries": 8}},
    "task_queues": QUEUES,
    "task_default_queue": "templates",
    "task_routes": ROUTES,
    "timezone": "UTC",
    "worker_send_task_events": True,
    # Without it Celery's client warns of each errback of a chord.
    "task_allow_error_cb_on_chord_header": True,
}


@pytest.fixture(scope="module")
def main_process() -> Iterator[MainProcess]:
    """Make the main process of a worker, without servers."""
    use_plain_json()
    before = _state._tls.current_app
    main_process = MainProcess(CELERY, RULES.tasks)
    # Callbacks in callbacks are sent by the app of the process.
    main_process.app.set_current()
    with formatted_logs():
        yield main_process
    _state._set_current_app(before)


def accepted(entry: bytes) -> Envelope:
    """Return the envelope of a message that must not be refused."""
    envelope = read(entry, RULES, QUEUE)
    assert isinstance(envelope, Envelope), envelope.reason
    return envelope


def lost(main_process: MainProcess) -> list[tuple[bytes, str]]:
    """Return what was sent to a queue of this service, for a task that it does not have."""
    published = [
        (queue, json.loads(entry)["headers"]["task"]) for queue, entry in main_process.published()
    ]
    own = [name.encode() for name in QueueName]
    return [(queue, task) for queue, task in published if queue in own and task not in RULES.tasks]


@each("client, outcome", itertools.product(CLIENTS, OUTCOMES))
def test_a_message_of_every_client_is_taken(
    main_process: MainProcess, client: str, outcome: str
) -> None:
    """Those too of other languages, which leave out headers or send null."""
    main_process.take(accepted(raw(CLIENTS[client]())), outcome)
    assert lost(main_process) == []


@each("outcome", OUTCOMES)
def test_an_errback_of_a_chord_is_called_by_its_name(
    main_process: MainProcess, outcome: str
) -> None:
    """Alone, where Celery's own clients write a list."""
    body = main_process.app.signature("delivery.all").set(queue="delivery", task_id="all")
    body.options["link_error"] = main_process.app.signature("delivery.failed", queue="delivery")
    message = celery({"chord": body}, headers={"group": "a-group", "group_index": 0})
    main_process.take(accepted(raw(message)), outcome)
    assert lost(main_process) == []


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("broker", ["Redis", "AMQP"])
def test_what_is_accepted_of_mutated_messages_is_taken(
    main_process: MainProcess, broker: str
) -> None:
    """The check itself never raises, and nothing that it lets through makes Celery raise."""
    seed = int(os.environ.get("ENVELOPE_SEED") or secrets.randbits(32))
    print(f"ENVELOPE_SEED={seed} ENVELOPE_MUTATIONS={MUTATIONS}")  # noqa: T201 - shown on failure
    taken = 0
    for number, entry in enumerate(mutations(seed, MUTATIONS // (1 if broker == "Redis" else 4))):
        envelope = read(entry, RULES, QUEUE) if broker == "Redis" else delivered(entry)
        if not isinstance(envelope, Envelope):
            assert envelope.reason
            assert envelope.problems
            assert envelope.error().code == envelope.code
            continue
        try:
            main_process.take(envelope, OUTCOMES[number % len(OUTCOMES)])
            assert lost(main_process) == []
        except Exception as error:
            error.add_note(f"ENVELOPE_SEED={seed}, message {number}: {entry!r}")
            raise
        taken += 1
    assert taken > MUTATIONS / 40


def delivered(entry: bytes) -> Envelope | Refusal:
    """Return the message in ``entry`` as if AMQP had delivered its parts."""
    try:
        message = json.loads(entry)
        headers, properties = message["headers"], message["properties"]
        body = base64.b64decode(message["body"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return check(Parts(entry, None, entry, None), RULES)
    own = {"delivery_tag", "delivery_info", "body_encoding"}
    if isinstance(properties, dict):
        properties = {name: value for name, value in properties.items() if name not in own}
    content_type, encoding = message.get("content-type"), message.get("content-encoding")
    return check(Parts(headers, properties, body, content_type, encoding), RULES)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@given(st.data())
@settings(
    max_examples=60,
    deadline=None,
    # Shrinking a canvas takes minutes, and those drawn are small.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_what_celerys_own_client_sends_is_taken(
    main_process: MainProcess, data: st.DataObject
) -> None:
    """With every option of ``apply_async``, alone or as the first of a chain or a chord."""
    signature = main_process.app.signature
    call = signature(TASK, kwargs=KEYWORDS)
    options = data.draw(_OPTIONS)
    form = data.draw(st.sampled_from(["alone", "chain", "chord", "group"]))
    # A group has no end of its own to link to.
    links = () if form == "group" else ("link", "link_error")
    for link in filter(lambda _: data.draw(st.booleans()), links):
        options[link] = data.draw(st.lists(_canvas(signature), min_size=1, max_size=3))
    if stamps := data.draw(st.dictionaries(_NAMES, _TEXTS, max_size=2)):
        call.stamp(**stamps)
    if form == "chain":
        call |= data.draw(_canvas(signature))
    sent = main_process.sent(call, form, options)
    main_process.take(accepted(sent), data.draw(st.sampled_from(OUTCOMES)))
    assert lost(main_process) == []


@pytest.mark.filterwarnings("error::RuntimeWarning")
@given(st.data())
@settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_callback_that_is_accepted_ends_in_a_queue_of_this_service(
    main_process: MainProcess, data: st.DataObject
) -> None:
    """Whichever of its tasks and of the groups around them name a queue, or one of ours."""
    canvas = _canvas(main_process.app.signature, _DESTINATIONS)
    field = data.draw(st.sampled_from(["callbacks", "errbacks", "chain"]))
    signatures = [json.loads(json.dumps(data.draw(canvas)))]
    envelope = read(raw(celery({field: signatures})), RULES, QUEUE)
    outcome = "refused" if field == "errbacks" else "success"
    if isinstance(envelope, Envelope):
        main_process.take(envelope, outcome)
        assert lost(main_process) == []
    else:
        assert all("queue" in problem["message"] for problem in envelope.problems)


@each("client, outcome", itertools.product(CLIENTS, ["retried", "lost"]))
def test_the_next_try_of_a_message_is_accepted(
    main_process: MainProcess, client: str, outcome: str
) -> None:
    """Celery publishes it itself, with what it kept of the first."""
    first = accepted(raw(CLIENTS[client]()))
    main_process.take(first, outcome)
    (entry,) = (entry for queue, entry in main_process.published() if queue == QUEUE.encode())
    again = accepted(entry)
    assert again.id == first.id
    assert again.content[1] == first.content[1]
    assert again.payload["headers"]["retries"] == first.payload["headers"]["retries"] + 1


@each("client", CLIENTS)
def test_a_message_in_parts_is_read_as_one_of_a_queue(client: str) -> None:
    """AMQP delivers headers, properties and body apart from one another."""
    envelope = accepted(raw(CLIENTS[client]()))
    payload = envelope.payload
    parts = Parts(
        payload["headers"],
        payload["properties"],
        memoryview(envelope.body),
        payload["content-type"],
        payload["content-encoding"],
    )
    assert check(parts, RULES) == envelope


_NAMES = st.text("abcxyz", min_size=1, max_size=8).map(lambda name: f"x_{name}")
_TEXTS = st.text(max_size=20)
_AHEAD = st.integers(-10_000, 1700).map(lambda seconds: timedelta(seconds=seconds))
_MOMENTS = _AHEAD.map(lambda ahead: datetime.now(UTC) + ahead)
_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "task_id": st.uuids().map(str),
        "countdown": st.integers(1, 1700),
        "eta": _MOMENTS,
        "expires": st.one_of(st.integers(1, 10**6), st.floats(1, 10**6), _MOMENTS),
        "priority": st.integers(0, 9),
        "headers": st.dictionaries(_NAMES, st.one_of(_TEXTS, st.integers(-(2**63), 2**64 - 1))),
        "ignore_result": st.booleans(),
        "reply_to": st.uuids().map(str),
        "retries": st.integers(0, 10),  # more than tries are allowed
        "time_limit": st.integers(20, 100),
        "soft_time_limit": st.integers(1, 20),
        "shadow": _TEXTS,
        "root_id": st.uuids().map(str),
        "parent_id": st.uuids().map(str),
        "queue": st.just(QUEUE),
    },
)


_DESTINATIONS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "queue": st.sampled_from(["delivery", "delivery", "sms", "render"]),
    "routing_key": st.sampled_from(["delivery", "render"]),
    "exchange": st.just("delivery"),
    "exchange_type": st.just("topic"),
}


def _canvas(
    signature: Any,  # noqa: ANN401 - Celery ships no types
    destinations: dict[str, st.SearchStrategy[Any]] | None = None,
) -> st.SearchStrategy[Any]:
    """Return signatures alone and in one another.

    Of tasks of other services, which name their queue; or of these and ours, each with some of
    ``destinations`` among its options.
    """
    options: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {} if destinations else {"queue": st.just("delivery")},
        optional=destinations
        or {
            "countdown": st.integers(0, 100),
            "expires": st.one_of(st.integers(1, 1000), _MOMENTS),
            "eta": _MOMENTS,
            "priority": st.integers(0, 9),
            "retries": st.integers(0, 3),
            "headers": st.dictionaries(_NAMES, _TEXTS, max_size=2),
            "retry": st.booleans(),
        },
    )
    single = st.builds(
        lambda task, options, immutable: signature(
            task, args=(1,), kwargs={"a": 1}, options=options, immutable=immutable
        ),
        st.sampled_from([RESULTS, TASK] if destinations else [RESULTS]),
        options,
        st.booleans(),
    )
    around: st.SearchStrategy[dict[str, Any]] = st.one_of(
        st.just({}), options if destinations else st.just({})
    )
    return st.recursive(
        single,
        lambda inner: st.builds(
            lambda canvas, options: canvas.set(**options),
            st.one_of(
                st.lists(inner, min_size=2, max_size=3).map(chain),
                st.lists(inner, min_size=1, max_size=3).map(group),
                st.tuples(st.lists(inner, min_size=1, max_size=2), single).map(
                    lambda parts: chord(parts[0], parts[1])
                ),
            ),
            around,
        ),
        max_leaves=4,
    )
