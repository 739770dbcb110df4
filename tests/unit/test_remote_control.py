"""Remote control obeys what Celery's client sends, and refuses the rest without its values."""

import logging
from typing import Any

import pytest
from celery import Celery
from celery.utils.collections import AttributeDict
from celery.worker.control import Panel
from kombu.transport.virtual import Message

from worker.envelope.commands import command_problem, reply_address
from worker.node.remote_control import Control

TASKS = {"render.one"}
VALUE = "a-value-of-a-message"
ADDRESS = {"exchange": "reply.celery.pidbox", "routing_key": "x"}


def command(method: Any, /, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a message as Celery writes it."""
    nowhere = {"destination": None, "pattern": None, "matcher": None}
    return {"method": method, "arguments": arguments} | nowhere


PING = command("ping")
ODD_NAMES: list[Any] = [7, [VALUE], {}, "", VALUE, "election"]
ODD_NUMBERS: list[Any] = ["1", 0.5, -1, 10**6, []]
OBEYED: list[dict[str, Any]] = [
    PING,
    PING | {"destination": ["celery@host"], "reply_to": ADDRESS, "ticket": "x"},
    PING | {"pattern": "celery@*", "matcher": "glob"},
    {"method": "ping"},
    command("revoke", task_id="x", terminate=True, signal="SIGTERM"),
    command("revoke", task_id=["x", "y"], terminate=False, signal=None),
    command("revoke_by_stamped_headers", headers={"a": ["b"]}, terminate=False, signal="KILL"),
    command("rate_limit", task_name="render.one", rate_limit="10/m", destination=None),
    command("rate_limit", task_name="render.one", rate_limit=0),
    command("time_limit", task_name="render.one", hard=30.5, soft=None),
    command("pool_grow", n=2),
    command("add_consumer", queue="x", exchange=None, exchange_type="direct", routing_key=None),
    command("cancel_consumer", queue="templates"),
    command("query_task", ids=["x"]),
    command("registered", taskinfoitems=["rate_limit"]),
    command("hello", from_node="celery@host", revoked=["x"]),
    command("conf", with_defaults=False),
]
REFUSED: list[Any] = [
    None,
    7,
    VALUE,
    [PING],
    {},
    PING | {"self": VALUE},
    PING | {"arguments": [VALUE]},
    PING | {"destination": 7},
    PING | {"destination": VALUE},
    PING | {"pattern": "(a*)*b", "matcher": "pcre"},
    PING | {"reply_to": VALUE},
    PING | {"reply_to": {"exchange": [VALUE], "routing_key": 7}},
    PING | {"reply_to": ADDRESS, "ticket": [VALUE]},
    *(command(name) for name in ODD_NAMES),
    command("ping", state=VALUE),
    *(command("revoke", task_id=ids) for ids in (7, {"a": VALUE}, [[VALUE]], ["x"] * 1001)),
    command("revoke", task_id="x", terminate=True, signal=VALUE),
    *(command("revoke_by_stamped_headers", headers=each) for each in (VALUE, ["a"], {"a": 7})),
    *(
        command("rate_limit", task_name="render.one", rate_limit=rate)
        for rate in ([1], "-1/s", -1, "nan", float("nan"), "inf/s", VALUE)
    ),
    *(command("rate_limit", task_name=name, rate_limit=1) for name in ODD_NAMES),
    *(
        command("time_limit", task_name="render.one", hard=limit)
        for limit in (VALUE, [1], -1, 0, 10**400, True)
    ),
    *(command("pool_grow", n=number) for number in ODD_NUMBERS),
    *(command(name, queue=[]) for name in ("add_consumer", "cancel_consumer")),
    *(command("add_consumer", queue=name) for name in ("unacked:consumers", "dead-letters")),
    command("add_consumer", queue="x", exchange_type=VALUE),
    command("add_consumer", queue="x", on_declared=VALUE),
    command("shutdown", msg="a\nb"),
]


@pytest.mark.parametrize("message", OBEYED, ids=str)
def test_what_celery_sends_is_obeyed(message: dict[str, Any]) -> None:
    """With the arguments of its own client, and of its command line."""
    assert command_problem(message, Panel.data, TASKS) is None


@pytest.mark.parametrize("message", REFUSED, ids=lambda each: str(each)[:80])
def test_other_messages_are_refused_without_their_values(message: object) -> None:
    """Before anything of Celery has seen them."""
    problem = command_problem(message, Panel.data, TASKS)
    assert problem
    assert VALUE not in problem


def test_wrong_arguments_are_answered_with_the_names_of_the_right_ones() -> None:
    """So the sender need not look for Celery's documentation."""
    assert command_problem(command("rate_limit", limit=1), Panel.data, TASKS) == (
        "arguments: expected task_name, rate_limit"
    )
    assert command_problem(command("report", more=1), Panel.data, TASKS) == (
        "arguments: expected none"
    )


def test_only_a_complete_address_is_replied_to() -> None:
    """A reply to another would be an error, or a message on a queue."""
    assert reply_address(PING | {"reply_to": ADDRESS}) == ADDRESS
    for address in (None, 7, VALUE, {}, {"exchange": "x"}, ADDRESS | {"more": 1}):
        assert reply_address(PING | {"reply_to": address}) is None
    assert reply_address(7) is None


@pytest.mark.parametrize(
    "headers", [{"clock": VALUE}, {"clock": []}, {"clock": 10**30}, {"clock": 1e308}, {}]
)
def test_a_worker_keeps_its_clock_and_hides_what_fails(
    headers: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A clock that is not a number is ignored; the error of a command is the reply."""
    app = Celery("x", broker="memory://", set_as_current=False, control=Control)

    def failing(_: object, **arguments: object) -> None:
        raise ValueError(arguments)

    processes = AttributeDict(pool=AttributeDict(num_processes=2))
    node = app.control.mailbox.Node(
        "x",
        handlers=Panel.data | {"fail": failing},
        state=AttributeDict(app=app, consumer=processes),
    )
    properties = {"delivery_info": {}, "delivery_tag": "x"}
    message = Message({"body": "", "headers": headers, "properties": properties})
    with caplog.at_level(logging.INFO):
        assert node.handle_message(command("pool_shrink", n=2), message) is None
        assert VALUE in node.handle_message(command("fail", x=VALUE), message)["error"]
        node.handle_message(command("clock"), message)
    assert app.clock.value < 10
    assert "remote control" in caplog.text
    assert VALUE not in caplog.text
