"""The programs of docs/integration/overview.md, run as a producer would run them."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import Example, blocks, examples, renamed
from tests.support.producer import Producer
from worker.local import LocalStack

DOCUMENT: Final = Path("docs", "integration", "overview.md")
TIMEOUT: Final = 120
"""Seconds: Go and Java compile first."""


@dataclass(frozen=True)
class Language:
    """How a program of a language is run.

    Attributes
    ----------
    command
        What runs the file that follows.
    file
        Name of the file.
    check
        A command that fails if what the program needs is not installed.
    environment
        Variables that it needs.
    """

    command: tuple[str, ...]
    file: str
    check: tuple[str, ...]
    environment: Mapping[str, str]


LANGUAGES: Final = {
    "python": Language((sys.executable,), "producer.py", (), {}),
    "sh": Language(("sh", "-eu"), "producer.sh", ("sh", "-c", "command -v redis-cli jq"), {}),
    "javascript": Language(
        ("node",), "producer.js", ("node", "--eval", 'require("celery-node")'), {}
    ),
    "typescript": Language(
        ("node_modules/.bin/tsx",), "producer.ts", ("node", "--eval", 'require("celery-ts")'), {}
    ),
    "go": Language(
        ("go", "run"),
        "producer.go",
        ("go", "list", "github.com/gomodule/redigo/redis"),
        # Debian's package has the sources here, and no module.
        {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "-mod=mod"},
    ),
    "php": Language(("php",), "producer.php", ("php", "--ri", "redis"), {}),
    "ruby": Language(("ruby",), "producer.rb", ("ruby", "-rredis", "-e", ""), {}),
    "java": Language(("java",), "Producer.java", ("javac", "--version"), {}),
}


def programs(checkout: Path) -> Iterator[Example]:
    """Yield the programs of the document, each with the output that it shows."""
    for example in examples(block for block in blocks(checkout / DOCUMENT) if block.role):
        assert example.block.language in LANGUAGES, example.block.place
        yield example


def check_program(
    example: Example, stack: LocalStack, producer: Producer, folder: Path, checkout: Path
) -> None:
    """Run a program; compare its output, and read what its link has sent to another service."""
    language = LANGUAGES[example.block.language]
    own = os.environ | language.environment | {"GOCACHE": str(folder / "go"), "HOME": str(folder)}
    if language.check:
        try:
            found = subprocess.run(
                language.check, cwd=folder, env=own, capture_output=True, check=False
            )
        except FileNotFoundError:
            pytest.skip(f"{example.block.language} is not installed")
        if found.returncode:
            pytest.skip(f"{example.block.language} misses what its program needs")
    mark = uuid.uuid4().hex[:8]
    block = renamed(example.block, {"greeting": f"greeting-{mark}", "sms-out": f"sms-out-{mark}"})
    file = folder / language.file
    file.write_text(block.text)
    done = subprocess.run(
        [*language.command, file.name],
        cwd=folder,
        env=own | stack.environment() | {"PYTHONPATH": str(checkout / "client" / "src")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    (shown,) = example.shown
    assert done.stdout == shown.text, f"{block.place}: {done.stderr}"
    with (
        producer.app.connection_for_read() as connection,
        connection.SimpleQueue(f"sms-out-{mark}") as queue,
    ):
        delivery = queue.get(timeout=30)
        delivery.ack()
    (result,), keywords, _ = delivery.payload
    assert (delivery.headers["task"], keywords) == ("sms.send", {"to": 42}), block.place
    assert result["body"] == "Hello Ada", block.place


def install_node_packages(folder: Path, checkout: Path) -> None:
    """Install the clients for Node.js from npm, if there is npm."""
    if (npm := shutil.which("npm")) is not None:
        shutil.copyfile(checkout / "tests" / "producers" / "package.json", folder / "package.json")
        install = [npm, "install", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=folder, check=False, capture_output=True)
