"""The same e-mail in a bare loop: JSON in, subject and body rendered, JSON out, in one process."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import jinja2
import liquid
import minijinja

from bench.templates import BODY, SUBJECT

Loop = Callable[[Sequence[str]], None]


def _minijinja() -> Loop:
    environment = minijinja.Environment(
        templates={"subject": SUBJECT, "body": BODY}, auto_escape_callback=lambda _name: True
    )

    def render(name: str, values: dict[str, Any]) -> str:
        return environment.render_template(name, **values)

    return _loop(render)


def _jinja2() -> Loop:
    environment = jinja2.Environment(autoescape=True)
    templates = {name: environment.from_string(text) for name, text in _SOURCES.items()}
    return _loop(lambda name, values: templates[name].render(values))


def _liquid() -> Loop:
    environment = liquid.Environment(autoescape=True)
    templates = {name: environment.from_string(text) for name, text in _SOURCES.items()}
    return _loop(lambda name, values: templates[name].render(**values))


def _loop(render: Callable[[str, dict[str, Any]], str]) -> Loop:
    def loop(messages: Sequence[str]) -> None:
        for message in messages:
            values = json.loads(message)
            json.dumps({"subject": render("subject", values), "body": render("body", values)})

    return loop


_SOURCES: Final = {"subject": SUBJECT, "body": BODY}

LOOPS: Final[dict[str, Callable[[], Loop]]] = {
    "MiniJinja": _minijinja,
    "Jinja2": _jinja2,
    "python-liquid": _liquid,
}


def rate(loop: Loop, messages: Sequence[str], seconds: float) -> float:
    """Return how many messages a loop works on in a second, looked at for ``seconds``."""
    done, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        loop(messages)
        done += len(messages)
    return done / passed
