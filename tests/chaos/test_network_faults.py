"""The network between a worker and its servers: connections go silent, replies are cut off."""

import time
from collections.abc import Iterator

import pytest

from tests.factories import templates
from tests.support.chaos.session import Chaos, opened
from tests.support.chaos.stacks import ProxiedStack, pause


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedStack]:
    """Give a stack with networks that can fail."""
    with ProxiedStack(tmp_path_factory.mktemp("proxied")) as stack:
        yield stack


@pytest.fixture
def networked(proxied: ProxiedStack, request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Give that stack in order, with all its networks."""
    with opened(proxied, request) as chaos:
        yield chaos


@pytest.mark.variants(
    "silent", [["database", "broker", "backend"]], [["database"], ["broker"], ["backend"]]
)
def test_work_continues_after_connections_have_gone_silent(
    networked: Chaos, proxied: ProxiedStack, silent: list[str]
) -> None:
    """Nobody closed them, so only a timeout can tell; every message is answered within 30 s.

    Where all servers are met by it at once, one message may wait for one after the other.
    """
    with networked.load(rate=60) as load:
        pause(1)
        for name in silent:
            assert proxied.networks[name].silence() > 0
        last_fault = time.time()
        pause(2)
    report = networked.settle(load, last_fault=last_fault)
    promised = 30 if len(silent) == 1 else 60
    report.assert_nothing_lost_or_doubled(longest_wait=networked.within(promised))


def test_a_write_whose_commit_was_not_confirmed_is_read_back(
    networked: Chaos, proxied: ProxiedStack
) -> None:
    """The commit arrives, its reply does not: the answer is that of the commit, done once."""
    proxied.networks["database"].cut = 0
    template = templates.created(networked.producer, type="sms")
    for number in range(1, networked.times(5, 50) + 1):
        proxied.networks["database"].cut_replies_to(b"COMMIT", 1)
        message = {"template_id": template, "body": f"Hello {number}"}
        answer = networked.producer.call("version.publish", message, timeout=60)
        assert answer["version"] == str(number)
        assert proxied.networks["database"].cut == number
    assert len(templates.versions(networked.producer, template)) == number


def test_an_answer_waits_for_an_unavailable_result_backend(
    networked: Chaos, proxied: ProxiedStack
) -> None:
    """The work is done and the backend unreachable: every answer is stored once it is back."""
    with networked.load(rate=30) as load:
        pause(1)
        proxied.networks["backend"].go_away()
        pause(networked.times(5, 20))
        proxied.networks["backend"].come_back()
        last_fault = time.time()
        pause(1)
    report = networked.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=networked.within(15))
