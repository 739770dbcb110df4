"""The render process: reads requests from standard input, writes answers to standard output.

Rendering runs behind a process because the engine bounds steps but neither memory nor time, and
no signal handler of Python's can interrupt Rust code. This process has limits of the kernel's
instead: RLIMIT_AS for its memory, and for each request a timer whose SIGALRM, left at its default
action, ends it (setitimer(2), signal(7)). The client tells by the signal which limit it was.

A message is its length in four bytes, big-endian, and that many bytes of JSON.
"""

import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine, SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.trial import optional, try_out

HEADER: Final = struct.Struct(">I")


def main() -> None:
    """Serve the client that started this process until it closes the pipe."""
    limits = Limits(**json.loads(sys.argv[1]))
    # The worker's signals reach the whole process group; the end of this process is the end of
    # its input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What the engine prints when an allocation fails is not for the worker's log.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    engine = Engine(limits)
    send(outbox, {"ready": os.getpid()})
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.render_memory_bytes, limits.render_memory_bytes))
    serve(engine, inbox, outbox, limits)


def serve(engine: Engine, inbox: BinaryIO, outbox: BinaryIO, limits: Limits) -> None:
    """Answer requests, one after the other, until ``inbox`` ends."""

    def start_timer() -> None:
        signal.setitimer(signal.ITIMER_REAL, limits.render_seconds)

    while (request := receive(inbox)) is not None:
        start_timer()
        answer = respond(engine, request, limits, start_timer)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(outbox, answer)


def respond(
    engine: Engine, request: Mapping[str, Any], limits: Limits, start_timer: Callable[[], None]
) -> dict[str, Any]:
    """Return the answer of one request: ``{"ok": …}`` or ``{"error": [code, message, details]}``.

    ``start_timer`` gives the time limit of one render anew.
    """
    try:
        return {"ok": _OPERATIONS[request["operation"]](engine, request, start_timer)}
    except SourceError as error:
        return {"error": [error.code, error.message, [error.problem]]}
    except MemoryError:
        return {"error": memory_error(limits)}


def memory_error(limits: Limits) -> list[Any]:
    """Return the error of a request that needed more memory than there is."""
    message = f"more than {limits.render_memory_bytes} bytes of memory"
    return [
        Code.RENDER_LIMIT_EXCEEDED,
        message,
        [{"path": "", "type": "limit", "message": message}],
    ]


def receive(stream: BinaryIO) -> Any:  # noqa: ANN401 - any JSON value
    """Return the next message, or None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    return json.loads(stream.read(size))


def send(stream: BinaryIO, message: object) -> None:
    """Write one message."""
    payload = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    stream.write(HEADER.pack(len(payload)) + payload)
    stream.flush()


def _render(engine: Engine, request: Mapping[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    values, subject = request["values"], request["subject"]
    return {
        "subject": None if subject is None else engine.subject(subject, "subject", values),
        "body": engine.body(request["body"], "body", values, html=request["html"]),
    }


def _inspect(engine: Engine, request: Mapping[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    placeholders: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for source in request["sources"]:
        try:
            placeholders[source["path"]] = engine.placeholders(
                source["source"], source["path"], html=source["html"]
            )
        except SourceError as error:
            problems.append(error.problem)
    return {"placeholders": placeholders, "problems": problems}


def _try_out(
    engine: Engine, request: Mapping[str, Any], start_timer: Callable[[], None]
) -> dict[str, Any]:
    problem = try_out(engine, request["source"], request["declared"], start_timer)
    return {"problem": problem}


def _optional(
    engine: Engine, request: Mapping[str, Any], start_timer: Callable[[], None]
) -> dict[str, Any]:
    return {"names": optional(engine, request["sources"], request["names"], start_timer)}


_OPERATIONS: Final = {
    "render": _render,
    "inspect": _inspect,
    "try_out": _try_out,
    "optional": _optional,
}

if __name__ == "__main__":
    main()
