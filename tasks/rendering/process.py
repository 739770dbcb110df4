"""The render process: reads requests from standard input, writes answers to standard output.

Rendering has a process of its own because the engine bounds steps but neither memory nor time, and
no signal handler of Python's can interrupt Rust code. This process has limits of the kernel's
instead: RLIMIT_AS for its memory, and for each render a timer of processor time whose SIGPROF, left
at its default action, ends it (setitimer(2), signal(7)). The signal shows the client which limit it
was. A render waits for nothing but the processor, so a busy machine takes none of its time.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, BinaryIO, Final

from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.frames import decode, encode, receive, send
from tasks.rendering.limits import Limits, memory_error
from tasks.rendering.trials.advice import advice
from tasks.rendering.trials.trial import inferred, sample, try_out

_Request = Mapping[str, Any]
_Begin = Callable[[], None]
"""Gives one render its time, unless the time of all is over: then it raises SourceError."""


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
    server = Server(limits)
    # What was imported stays; a collection need not look at it each time.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    send(outbox, [encode({"ready": os.getpid()})])
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.render_memory_bytes, limits.render_memory_bytes))
    server.serve(inbox, outbox)


class Server:
    """Answers requests, one after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._engine = Engine(limits)
        self._statm = os.open("/proc/self/statm", os.O_RDONLY)
        # What is compiled, and the data of languages, may take half of what a render may.
        self._full_bytes = (self._address_space() + limits.render_memory_bytes) // 2

    def serve(self, inbox: BinaryIO, outbox: BinaryIO) -> None:
        """Answer requests until ``inbox`` ends."""
        while (parts := receive(inbox)) is not None:
            self._start_timer()
            answer = self.respond(parts)
            _stop_timer()
            send(outbox, answer)

    def respond(self, parts: Sequence[bytes]) -> list[bytes]:
        """Return the answer to a request: a part for each render, or one, and what it took.

        Each is ``{"ok": …}`` or ``{"error": [code, message, details]}``. What it took is the
        seconds of processor time, and whether so much memory is kept now that another process
        should serve the next request.
        """
        begun = time.process_time()
        request = decode(parts[0])
        self._engine.forget()
        if request["operation"] == "render":
            answers = self._render(request, parts[1:])
        else:
            answers = [self._operate(request, begun)]
        is_full = self._address_space() > self._full_bytes
        return [*answers, encode([time.process_time() - begun, is_full])]

    def _operate(self, request: _Request, begun: float) -> bytes:
        ends = inf if request["seconds"] is None else begun + request["seconds"]

        def begin() -> None:
            if time.process_time() > ends:
                limit = f"{self._limits.trial_seconds:g} s of processor time"
                raise SourceError.limit("", f"the trial renders took more than {limit}")
            self._start_timer()

        return self._answer(_OPERATIONS[request["operation"]], self._engine, request, begin)

    def _render(self, request: _Request, parts: Sequence[bytes]) -> list[bytes]:
        count = request["texts"]
        texts, payloads = parts[:count], parts[count:]
        # By the system's clock, which both processes share (clock_gettime(2)).
        deadline = inf if request["deadline"] is None else request["deadline"]

        def one(index: int, payload: bytes) -> dict[str, Any]:
            if time.monotonic() > deadline:
                limit = f"{self._limits.batch_seconds:g} s"
                raise SourceError.limit("items", f"the batch took more than {limit}")
            self._start_timer()
            ready = self._engine.prepared(texts[index])
            return self._engine.render(ready, self._engine.values(ready, payload))

        indexes = request["indexes"]
        return [self._answer(one, *each) for each in zip(indexes, payloads, strict=True)]

    def _answer(self, work: Callable[..., dict[str, Any]], *arguments: object) -> bytes:
        try:
            return encode({"ok": work(*arguments)})
        except SourceError as error:
            return encode({"error": [error.code, error.message, error.problems]})
        except MemoryError:
            return encode({"error": memory_error(self._limits)})
        except BaseException as error:
            # So ends, in PyO3, an allocation for Python that fails while the engine runs.
            if type(error).__name__ != "PanicException":
                raise
            return encode({"error": memory_error(self._limits)})

    def _address_space(self) -> int:
        """Return the bytes that the limit of memory counts (proc(5), statm)."""
        return int(os.pread(self._statm, 32, 0).split()[0]) * resource.getpagesize()

    def _start_timer(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, self._limits.render_seconds)


def _stop_timer() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)


def _inspect(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    placeholders, problems = {}, []
    for source in request["sources"]:
        begin()
        path = source["path"]
        placeholders[path], source_problems = engine.inspect(
            source["source"], path, html=source["html"], needs=request["needs"]
        )
        problems += source_problems
    return {"placeholders": placeholders, "problems": problems}


def _members(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    found = []
    for sources in request["texts"]:
        begin()
        found.append(engine.members(sources))
    return {"members": found}


def _inline(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    # Few publishes need it, and no render does: the library is not loaded before.
    from tasks.rendering.inline_css import inlined  # noqa: PLC0415

    bodies, problems = [], []
    for source in request["sources"]:
        begin()
        try:
            body = inlined(source["source"], source["path"])
        except SourceError as error:
            problems.append(error.problem)
            continue
        bodies.append(body)
        problems += engine.inspect(body, source["path"], html=True, needs={})[1]
    return {"bodies": bodies, "problems": problems}


def _compile_mjml(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    # As for inline_css.
    from tasks.rendering.mjml import compiled  # noqa: PLC0415

    bodies, problems = [], []
    for source in request["sources"]:
        begin()
        # What is not a template is reported where it is, and might be anything to MJML.
        _, broken = engine.inspect(source["source"], source["path"], html=False, needs={})
        problems += broken
        if broken:
            continue
        try:
            body = compiled(source["source"], source["path"])
        except SourceError as error:
            problems.append(error.problem)
            continue
        bodies.append([body.html, body.spans])
    return {"bodies": bodies, "problems": problems}


def _try_out(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    return {"problems": try_out(engine, request["text"], request["declared"], begin)}


def _infer(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    return inferred(engine, request["texts"], request["names"], begin)._asdict()


def _sample(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    return sample(engine, request["text"], request["declared"], begin)


def _advise(engine: Engine, request: _Request, begin: _Begin) -> dict[str, Any]:
    found = advice(engine, request["sources"], request["texts"], request["declared"], begin)
    return {"warnings": found}


_OPERATIONS: Final = {
    "inspect": _inspect,
    "members": _members,
    "inline": _inline,
    "compile_mjml": _compile_mjml,
    "try_out": _try_out,
    "infer": _infer,
    "sample": _sample,
    "advise": _advise,
}

if __name__ == "__main__":
    main()
