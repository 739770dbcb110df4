"""The programs of docs/integration/overview.md in Python and the shell.

``make test-producers`` runs those in other languages.
"""

from pathlib import Path

import pytest

from tests.support.producer import Producer
from tests.support.programs import LANGUAGES, check_program, programs
from worker.local import LocalStack


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_programs_work(
    language: str, stack: LocalStack, producer: Producer, tmp_path: Path, checkout: Path
) -> None:
    """With Celery, with the client and asyncio, with task_routes, and with redis-cli."""
    own = [each for each in programs(checkout) if each.block.language == language]
    assert len(own) == (3 if language == "python" else 1)
    for program in own:
        check_program(program, stack, producer, tmp_path, checkout)


def test_every_language_has_a_program(checkout: Path) -> None:
    """Those that the tests know are those of the document."""
    assert {each.block.language for each in programs(checkout)} == set(LANGUAGES)
