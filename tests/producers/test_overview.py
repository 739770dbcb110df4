"""The programs of docs/integration/overview.md in languages that ``make test`` does not need."""

from pathlib import Path

import pytest

from tests.support.producer import Producer
from tests.support.programs import LANGUAGES, check_program, install_node_packages, programs
from worker.local import LocalStack

OTHERS = [language for language in LANGUAGES if language not in {"python", "sh"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """Return a folder with the packages of Node.js."""
    folder = tmp_path_factory.mktemp("programs")
    install_node_packages(folder, checkout)
    return folder


@pytest.mark.parametrize("language", OTHERS)
def test_the_program_of_each_language_works(
    language: str, stack: LocalStack, producer: Producer, folder: Path, checkout: Path
) -> None:
    """It publishes, renders, links, and reads a refusal by its code; skipped by name if missing."""
    (program,) = (each for each in programs(checkout) if each.block.language == language)
    check_program(program, stack, producer, folder, checkout)
