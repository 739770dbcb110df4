"""The documents are true: their examples run against the real stack, and nothing is left out."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

from tasks.base import ServiceTask
from tasks.errors import Code
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
    names = {"greeting": f"greeting-{uuid.uuid4().hex[:8]}", ". .local/env": f". '{stack.directory}/env'"}
    story = [renamed(block, names) for block in blocks(checkout / "README.md")]
    ran = [block.language for block in story if block.role == "run"]
    assert ran == ["python", "sh"]
    for block, following in _with_following(story):
        if block.role != "run":
            continue
        run = _run_python if block.language == "python" else _run_shell
        _check_output(run(block, stack, tmp_path), following, block)


def test_every_command_of_the_readme_exists(checkout: Path) -> None:
    """``make`` targets and commands of ``template-service`` that the README names are there."""
    readme = (checkout / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (checkout / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", readme)) <= targets
    named = set(re.findall(r"^template-service ([a-z]+)", readme, re.MULTILINE))
    assert named
    assert named <= set(main.commands)


def test_every_task_keyword_and_field_is_documented(tasks: Tasks, checkout: Path) -> None:
    """Each task has a section that names its keywords, and the document shows its results."""
    text = (checkout / "docs" / "messages.md").read_text()
    sections = dict(re.findall(r"^### `([a-z_.]+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    served = {
        name: task for name, task in tasks.app.tasks.items() if isinstance(task, ServiceTask)
    }
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
    yield from pairwise([*every, None])  # type: ignore[misc]  # only the last is None


def _check_answer(block: Block, following: Block | None, producer: Producer) -> None:
    assert following is not None, f"{block.place}: there is no answer"
    result = producer.send(block.role, json.loads(block.text))
    result.get(timeout=TIMEOUT, propagate=False)
    stored = json.loads(producer.app.backend.client.get(f"celery-task-meta-{result.id}"))
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


def _run_shell(block: Block, stack: LocalStack, _: Path) -> str:
    return _run(["/bin/sh", "-euc", block.text], block, stack, Path(__file__).parents[2])


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
