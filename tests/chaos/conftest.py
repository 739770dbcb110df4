"""Stacks to break, which tests share: every test finds them repaired."""

from collections.abc import Iterator

import pytest

from tests.support.chaos.session import COUNTS, NOTES, Chaos, opened
from tests.support.chaos.stacks import ChaosStack
from tests.support.producer import Producer
from tests.support.stacks import FEW_TRIES, small_stack
from worker.local import LocalStack

FORMS = ("short", "long")
COLUMNS = (
    ("sent and acknowledged", "sent"),
    ("sent, outcome unknown to the producer", "unknown"),
    ("ok", "ok"),
    ("refused", "refused"),
    ("effects", "effects"),
    ("duplicated effects", "duplicated"),
    ("answered without effect", "missing"),
    ("wrong answers", "wrong"),
    ("templates without one current version", "not one current"),
    ("dead letters", "dead"),
    ("lost", "lost"),
    ("still waiting", "waiting"),
    ("longest wait after the last fault", "longest wait"),
    ("seed", "seed"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ``make chaos``."""
    group = parser.getgroup("chaos")
    group.addoption(
        "--chaos",
        choices=FORMS,
        default=FORMS[0],
        help="faults in a short form of minutes, or as often and as long as is promised",
    )
    group.addoption("--chaos-seed", type=int, help="repeat the load and the faults of a run")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark below."""
    config.addinivalue_line(
        "markers",
        "variants(name, short, long): parametrize with the values of --chaos=short or of both",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test the variants of its form: those that take long are for the long one."""
    for mark in metafunc.definition.iter_markers("variants"):
        name, short, rest = mark.args
        is_long = metafunc.config.getoption("chaos", FORMS[0]) == "long"
        values = [*short, *(rest if is_long else ())]
        metafunc.parametrize(name, values, ids=[_id_of(value) for value in values])


def _id_of(value: str | list[str] | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what became of the messages of every load, and what was measured besides."""
    loads: list[tuple[str, dict[str, str]]] = []
    notes: list[tuple[str, str]] = []
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        if report.when != "call":
            continue
        for name, value in report.user_properties:
            test = report.nodeid.rpartition("::")[2]
            if name == COUNTS:
                loads.append((test, value))
            elif name == NOTES:
                notes.append((test, value))
    if loads or notes:
        terminalreporter.section("chaos")
    for test, counts in sorted(loads):
        terminalreporter.write_line(test)
        shown = (f"{short} {counts[name]}" for name, short in COLUMNS)
        terminalreporter.write_line("  " + " | ".join(shown))
    for test, note in sorted(notes):
        terminalreporter.write_line(f"{test}: {note}")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Give a stack with few tries whose data survive the end of a server.

    Each test repairs what it has broken.
    """
    directory = tmp_path_factory.mktemp("few-tries")
    with small_stack(directory, durable=True, environment=FEW_TRIES) as stack:
        yield stack


@pytest.fixture
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of ``stack``."""
    with Producer.of(stack) as producer:
        yield producer


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosStack]:
    """Give the stack that tests of faults share: every test finds it repaired."""
    with ChaosStack(tmp_path_factory.mktemp("chaos")) as stack:
        yield stack


@pytest.fixture
def chaos(shared: ChaosStack, request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Give the shared stack with one worker that answers, and with nothing to do."""
    with opened(shared, request) as chaos:
        yield chaos
