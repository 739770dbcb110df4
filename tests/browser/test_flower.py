"""Flower in a real browser shows what an operator asks for, and no value of a message."""

import re
import subprocess
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from db.cluster.processes import wait_until
from tests.browser.screenshots import SECONDS, program
from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack

RECIPIENT: Final = "planted-recipient@example.org"


def test_flower_shows_ids_and_codes_and_no_value(tmp_path: Path) -> None:
    """Tasks, one task, workers of which one is lost, one worker, and the broker's queues."""
    with small_stack(tmp_path / "stack", workers=2, flower=True) as stack:
        with Producer.of(stack) as producer:
            template = templates.published(producer, "<p>{{ name }}</p>")
            message = {"template_id": template, "variables": {"name": RECIPIENT}}
            done = producer.send("render.one", message)
            producer.answer(done)
            try:
                producer.call("render.one", {"template_id": template, "variables": {"n": "x"}})
            except RefusedError as error:
                refusal = error.code
            _send_to_the_dead_letters(producer)
        lost, alive = _node(stack, "worker2"), _node(stack, "worker")
        # A worker that is killed loses the events of its last tenth of a second.
        _page(stack, f"task/{done}", ["SUCCESS"])
        _page(stack, "tasks", [refusal])
        _lose(stack, "worker2")
        pages = {
            "tasks": [template, "Error code", refusal, "Milliseconds", "SUCCESS"],
            f"task/{done}": [template, "SUCCESS"],
            "workers": [lost, "Offline", alive, "Online"],
            f"worker/{alive}": [alive],
            "broker": ["dead-letters", "monitoring"],
        }
        for path, texts in pages.items():
            shown = _page(stack, path, texts)
            assert [text for text in texts if text not in shown] == [], path
            assert RECIPIENT not in shown, path


def _send_to_the_dead_letters(producer: Producer) -> None:
    try:
        producer.call("no.such.task", {"name": RECIPIENT}, queue="render")
    except RefusedError as error:
        assert error.code == "invalid_message"  # noqa: PT017 - the letter is what matters


def _lose(stack: LocalStack, name: str) -> None:
    """Kill a worker and its processes, as a machine that is lost does."""
    main = psutil.Process(stack.processes[name].pid)
    for process in (main, *main.children(recursive=True)):
        process.kill()


def _node(stack: LocalStack, name: str) -> str:
    (address,) = (part.address for part in stack.status() if part.name == name)
    return address


def _page(stack: LocalStack, path: str, texts: Sequence[str]) -> str:
    """Return what the browser has made of a page, once it shows all of ``texts``."""
    assert stack.flower is not None
    address = urllib.parse.urljoin(stack.flower.url_with_password, path)
    shown = ""

    def load() -> bool:
        nonlocal shown
        shown = _dom(address)
        return all(text in shown for text in texts)

    wait_until(load, SECONDS)
    return shown


def _dom(address: str) -> str:
    done = subprocess.run(
        [
            program(),
            "--headless=new",
            "--no-sandbox",  # which needs rights that a container has not
            "--disable-gpu",
            "--virtual-time-budget=3000",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return re.sub(r"\s+", " ", done.stdout)
