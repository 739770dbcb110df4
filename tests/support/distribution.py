"""Which tests run in one process of pytest-xdist, and which ones begin.

A server of the session's fixtures is started in every process that needs it, and an idle worker
takes some percent of a processor: tests that share workers run in one process.
"""

from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

OPERATIONS: Final = "tests/acceptance/test_operations.py"
APART: Final = (
    OPERATIONS,
    "tests/acceptance/test_start.py",
    "tests/acceptance/test_stack.py",
)
"""Files of long tests that have nothing in common: each test may run anywhere."""
_OF_STACK: Final = (
    *(f"tests/acceptance/test_{name}.py" for name in ("bad_messages", "batches", "client", "docs")),
    *(f"tests/acceptance/test_{name}.py" for name in ("heartbeat", "main_job", "partials")),
    *(f"tests/acceptance/test_{name}_document.py" for name in ("integration", "monitoring")),
    "tests/acceptance/test_privacy.py",
    "tests/integration/test_unconsumed.py",
)
_OF_CHAOS: Final = tuple(
    f"tests/chaos/test_{name}.py"
    for name in (
        "all_at_once",
        "broker_faults",
        "database_faults",
        "delayed",
        "leases",
        "malformed",
        "shutdown",
        "worker_kills",
    )
)
_OF_FEW_TRIES: Final = tuple(
    f"tests/chaos/test_{name}.py" for name in ("broker", "database", "pool_processes", "worker")
)
TOGETHER: Final = (
    dict.fromkeys(_OF_STACK, "stack")
    | dict.fromkeys(_OF_CHAOS, "chaos")
    | dict.fromkeys(_OF_FEW_TRIES, "few tries")
)
"""Files whose tests use the workers of one fixture, by path, and its name."""
ORDER: Final = (
    f"{OPERATIONS}::test_every_block_of_the_operations_document_works[everyday]",
    f"{OPERATIONS}::test_every_block_of_the_operations_document_works[recovery]",
    "chaos",
    "stack",
    # A process that runs a single test is given the next part too, which then waits for it.
    "tests/unit/test_gsm.py",
    "tests/unit/test_frames.py",
    "tests/acceptance/test_corpus.py",
    "tests/acceptance/test_installation.py",
    "tests/acceptance/test_authoring.py",
    *(f"tests/acceptance/test_{name}.py" for name in ("pools", "wheel", "control")),
)
"""Parts that begin, the longest first: begun last, one would be what all others wait for."""


def part_of(nodeid: str) -> str:
    """Return the part of the run that a test belongs to: a file, if nothing else is said."""
    path = nodeid.partition("::")[0]
    return nodeid if path in APART else TOGETHER.get(path, path)


def rank(nodeid: str) -> int:
    """Return where the part of a test stands in :data:`ORDER`."""
    part = part_of(nodeid)
    return ORDER.index(part) if part in ORDER else len(ORDER)


class Distribution(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process one part after the other, in the order of the tests."""

    def __init__(self, config: Any, log: Any = None) -> None:  # noqa: ANN401 - pytest-xdist's
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
