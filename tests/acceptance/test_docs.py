"""The documents are true: their examples run against the real stack, and nothing is left out."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from tasks.base import ServiceTask
from tasks.errors import Code
from tests.support import compose
from tests.support.documents import Block, blocks, renamed
from tests.support.producer import Producer
from tests.support.tasks import Tasks
from worker.cli import main
from worker.local import LocalStack
from worker.queues import QueueName
from worker.settings import Settings, environment_name

TIMEOUT = 60
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z")


def test_the_story_of_the_messages(
    stack: LocalStack, producer: Producer, checkout: Path, tmp_path: Path
) -> None:
    """Every message of docs/messages.md gets the answer that stands below it."""
    names = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in ("welcome_email", "order_shipped")}
    story = [renamed(block, names) for block in blocks(checkout / "docs" / "messages.md")]
    ran = 0
    for block, following in _with_following(story):
        if block.language == "python":
            _check_output(_run_python(block, stack, tmp_path), following, block)
        elif block.language == "json" and "." in block.role:
            _check_answer(block, following, producer)
        else:
            assert block.role in {"answer", "part", "refused", "output"}, block.place
            continue
        ran += 1
    assert ran > 30


def test_the_producer_and_the_commands_of_the_readme(
    stack: LocalStack, checkout: Path, tmp_path: Path
) -> None:
    """What the README shows to run beside a running stack does what it says."""
    names = {
        "greeting": f"greeting-{uuid.uuid4().hex[:8]}",
        ". .local/env": f". {stack.environment_file}",
    }
    story = [renamed(block, names) for block in blocks(checkout / "README.md")]
    assert [block.language for block in story if block.role == "run"] == ["python", "sh"]
    for block, following in _with_following(story):
        if block.role == "run" and block.language == "python":
            _check_output(_run_python(block, stack, tmp_path), following, block)
        elif block.role == "run":
            _check_output(_run_shell(block, stack, checkout), following, block)


def test_the_secrets_of_the_readme(stack: LocalStack, checkout: Path, tmp_path: Path) -> None:
    """They are the ones that docker-compose.yml wants, each a password of its own."""
    (block,) = (block for block in blocks(checkout / "README.md") if block.role == "elsewhere")
    _run_shell(block, stack, tmp_path)
    files = [tmp_path / secret["file"] for secret in compose.load(checkout)["secrets"].values()]
    assert len({file.read_text() for file in files}) == len(files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    assert files[0].parent.stat().st_mode & 0o777 == 0o700


def test_every_command_of_the_readme_exists(checkout: Path) -> None:
    """The ``make`` targets and the commands of ``template-service`` that it names are there."""
    code = "\n".join(
        [block.text for block in blocks(checkout / "README.md")]
        + re.findall(r"`([^`\n]+)`", (checkout / "README.md").read_text())
    )
    targets = re.findall(r"^([a-z]+):", (checkout / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"^make ([a-z]+)", code, re.MULTILINE))
    assert {"demo", "test"} <= named <= set(targets)
    named = set(re.findall(r"^(?:\S+/)?template-service ([a-z]+)", code, re.MULTILINE))
    assert {"up", "status", "down"} <= named <= set(main.commands)


def test_every_path_of_the_readme_exists(checkout: Path) -> None:
    """What is said to be where is there."""
    (tree,) = (block for block in blocks(checkout / "README.md") if block.role == "tree")
    paths = [line.split()[0] for line in tree.text.splitlines()]
    assert [path for path in paths if not (checkout / path).exists()] == []


def test_every_task_keyword_and_field_is_documented(tasks: Tasks, checkout: Path) -> None:
    """Each task has a section that names its keywords, and the document shows its results."""
    text = (checkout / "docs" / "messages.md").read_text()
    sections = dict(
        re.findall(r"^### `([a-z_.]+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    )
    served = {name: task for name, task in tasks.app.tasks.items() if isinstance(task, ServiceTask)}
    assert set(sections) == set(served)
    for name, task in served.items():
        keywords = set(task.message.model_fields)
        if not name.startswith("maintenance."):  # one paragraph above them names theirs
            assert keywords <= set(re.findall(r"`(\w+)`", sections[name])), name


def test_every_code_queue_and_limit_is_documented(checkout: Path) -> None:
    """The tables have a row for each, and say the defaults that the code has."""
    text = (checkout / "docs" / "messages.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| .* \| (?:no|yes) \|", text, re.MULTILINE) == list(Code)
    assert re.findall(r"^\| `(\w+)` \| .* \| yes \|", text, re.MULTILINE) == [Code.UNAVAILABLE]
    assert [name for name in QueueName if f"| `{name}` |" not in text] == []

    shown = re.findall(r"\| ([\d,]+) \| `(\w+_LIMIT_\w+)` \|", text)
    assert {name: float(value.replace(",", "")) for value, name in shown} == {
        environment_name(name): field.default
        for name, field in Settings.model_fields.items()
        if name.startswith("limit_")
    }


def test_links_lead_somewhere(checkout: Path) -> None:
    """Relative links of all documents name files, and anchors name headings."""
    for file in [checkout / "README.md", *sorted((checkout / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            found = (file.parent / path) if path else file
            assert found.exists(), f"{file.name}: {target}"
            if anchor:
                assert anchor in _anchors(found), f"{file.name}: {target}"


def _with_following(story: Iterable[Block]) -> Iterator[tuple[Block, Block | None]]:
    every = list(story)
    yield from zip(every, [*every[1:], None], strict=True)


def _check_answer(block: Block, following: Block | None, producer: Producer) -> None:
    assert following is not None, f"{block.place}: there is no answer"
    stored = producer.stored(producer.send(block.role, json.loads(block.text)), TIMEOUT)
    assert stored["status"] == ("FAILURE" if following.role == "refused" else "SUCCESS"), (
        f"{block.place}: {stored['result']}"
    )
    expected, found = json.loads(following.text), stored["result"]
    if following.role == "part":
        found = {key: found[key] for key in expected}
    if following.role == "refused":
        for refusal in (expected, found):  # the order of the problems is nobody's business
            refusal["exc_message"][2].sort(key=itemgetter("path"))
    assert _plain(found) == _plain(expected), following.place


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return ``value`` with ids and times, which differ each time, replaced by their kind."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and _UUID.fullmatch(value):
        return "a version's id"
    if isinstance(value, str) and _TIME.fullmatch(value):
        return "a time"
    return value


def _run_python(block: Block, stack: LocalStack, directory: Path) -> str:
    return _run([sys.executable, "-c", block.text], block, stack, directory)


def _run_shell(block: Block, stack: LocalStack, directory: Path) -> str:
    return _run(["/bin/sh", "-euc", block.text], block, stack, directory)


def _run(command: list[str], block: Block, stack: LocalStack, directory: Path) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    return done.stdout


def _check_output(output: str, following: Block | None, block: Block) -> None:
    """Compare with the block below: each of its lines, ``…`` standing for anything."""
    assert following is not None, f"{block.place}: its output is not shown"
    assert following.role == "output", f"{block.place}: its output is not shown"
    pattern = re.escape(following.text).replace("…", ".*")
    assert re.fullmatch(pattern, output, re.DOTALL), f"{following.place}: it was\n{output}"


def _anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
