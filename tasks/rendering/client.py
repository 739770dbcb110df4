"""The worker's side of the render process."""

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from tasks.errors import Problem, RenderLimitExceeded, ServiceError
from tasks.events import log_event
from tasks.rendering import replaced
from tasks.rendering.child import RenderProcess, RenderProcessError, longest_wait
from tasks.rendering.frames import decode, encode, pack
from tasks.rendering.limits import TRIAL_RENDERS, Limits, memory_error
from tasks.rendering.texts import Text
from tasks.rendering.usage.inference import Inferred

logger = logging.getLogger(__name__)

Item = tuple[int, bytes]
"""The index of a text, and values as a JSON object."""


class Renderer:
    """Render processes of one worker process, started when needed and used again.

    A process serves one request at a time, so there are as many as threads render at once: one
    under the prefork and solo pools. Create it after the fork: a pipe cannot be shared.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._idle: list[RenderProcess] = []
        self._lock = threading.Lock()
        self._spent = threading.local()
        self.over_memory: Final = encode({"error": memory_error(limits)})
        """The answer of a render that needed more memory than there is."""

    def start(self) -> None:
        """Start a process ahead of the first request."""
        with self._lock:
            self._idle.append(RenderProcess(self.limits))

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def __enter__(self) -> Self:
        """Return the renderer; the processes end with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.close()

    @property
    def process_ids(self) -> list[int]:
        """The idle render processes."""
        with self._lock:
            return [process.pid for process in self._idle]

    def clock(self) -> float:
        """Return the processor time, in seconds, that this thread and its render processes took.

        What waits for a busy machine or for the database is not in it, nor is the start of a
        process: no template is to blame for them.
        """
        return time.thread_time() + self._seconds_spent

    @property
    def _seconds_spent(self) -> float:
        seconds: float = getattr(self._spent, "seconds", 0.0)
        return seconds

    def render(self, text: Text, values: bytes) -> dict[str, Any]:
        """Return the finished parts of ``text``: see :meth:`tasks.rendering.engine.Engine.render`.

        ``values`` is a JSON object.

        Raises
        ------
        ServiceError
            ``variables_invalid``, ``template_syntax`` or ``render_limit_exceeded``.
        """
        parts: dict[str, Any] = decode(self.rendered(text, values))
        return parts

    def rendered(self, text: Text, values: bytes) -> bytes:
        """Return the same as a JSON object."""
        return _ok(self.answer(text, values, None))

    def answer(self, text: Text, values: bytes, deadline: float | None) -> bytes:
        """Return the same, or its error, as :meth:`Stream.take` does."""
        request = {"operation": "render", "texts": 1, "indexes": [0], "deadline": deadline}
        return self._ask(request, [encode(text), values])

    def stream(self, deadline: float) -> "Stream":
        """Return a stream of renders that must have begun by ``deadline``.

        ``deadline`` is by ``time.monotonic()``, in seconds.
        """
        return Stream(self, deadline)

    def inspect(
        self,
        sources: Sequence[Mapping[str, Any]],
        needs: Mapping[str, Sequence[str]],
        deadline: float | None = None,
    ) -> tuple[dict[str, list[str] | None], list[Problem]]:
        """Compile sources; return the placeholders of each path, and the problems.

        A source that does not compile has None for placeholders.

        Parameters
        ----------
        sources
            Each with ``path``, ``source`` and ``html`` (bool).
        needs
            The placeholders of the partials that they use, by template_id.
        deadline
            By :meth:`clock`, for this and the other questions of the gate; what has not begun by
            then gives ``render_limit_exceeded``.
        """
        request = {"operation": "inspect", "sources": sources, "needs": needs}
        answer = self._single(request, len(sources), deadline)
        return answer["placeholders"], answer["problems"]

    def members(
        self, texts: Sequence[Sequence[str]], deadline: float | None = None
    ) -> list[tuple[list[str], list[str]] | None]:
        """Return the members of items that texts use, each given by its sources.

        See :meth:`tasks.rendering.engine.Engine.members`.
        """
        request = {"operation": "members", "texts": texts}
        found: list[Any] = self._single(request, len(texts), deadline)["members"]
        return [None if each is None else (each[0], each[1]) for each in found]

    def inline(
        self, sources: Sequence[Mapping[str, Any]], deadline: float | None = None
    ) -> tuple[list[str], list[Problem]]:
        """Return bodies with their styles inlined, and the problems.

        See :func:`tasks.rendering.inline_css.inlined`; ``sources`` each have ``path`` and
        ``source``.
        """
        request = {"operation": "inline", "sources": sources}
        answer = self._single(request, len(sources), deadline)
        return answer["bodies"], answer["problems"]

    def compile_mjml(
        self, sources: Sequence[Mapping[str, Any]], deadline: float | None = None
    ) -> tuple[list[tuple[str, list[tuple[int, int, int]]]], list[Problem]]:
        """Return bodies compiled to HTML with their spans, and the problems.

        See :func:`tasks.rendering.mjml.compiled`; ``sources`` each have ``path`` and ``source``.
        """
        request = {"operation": "compile_mjml", "sources": sources}
        answer = self._single(request, len(sources), deadline)
        return answer["bodies"], answer["problems"]

    def try_out(
        self, text: Text, declared: Sequence[Mapping[str, Any]], deadline: float | None = None
    ) -> list[Problem]:
        """Return the problems of trial renders: :func:`tasks.rendering.trials.trial.try_out`."""
        request = {"operation": "try_out", "text": text, "declared": declared}
        problems: list[Problem] = self._single(request, TRIAL_RENDERS, deadline)["problems"]
        return problems

    def sample(
        self, text: Text, declared: Sequence[Mapping[str, Any]], deadline: float | None = None
    ) -> dict[str, Any]:
        """Return the parts with sample values: :func:`tasks.rendering.trials.trial.sample`."""
        request = {"operation": "sample", "text": text, "declared": declared}
        return self._single(request, TRIAL_RENDERS, deadline)

    def infer(
        self, texts: Sequence[Text], names: Sequence[str], deadline: float | None = None
    ) -> Inferred:
        """Return what texts say of variables: :func:`tasks.rendering.trials.trial.inferred`."""
        request = {"operation": "infer", "texts": texts, "names": names}
        renders = 2 * TRIAL_RENDERS * max(1, len(names)) * len(texts)
        return Inferred(**self._single(request, renders, deadline))

    def advise(
        self,
        sources: Sequence[Mapping[str, Any]],
        texts: Sequence[Mapping[str, Any]],
        declared: Sequence[Mapping[str, Any]],
        deadline: float,
    ) -> list[dict[str, Any]]:
        """Return warnings of texts: :func:`tasks.rendering.trials.advice.advice`."""
        request = {"operation": "advise", "sources": sources, "texts": texts, "declared": declared}
        answer = self._single(request, len(sources) + len(texts), deadline)
        found: list[dict[str, Any]] = answer["warnings"]
        return found

    def _single(
        self, request: Mapping[str, Any], renders: int, deadline: float | None
    ) -> dict[str, Any]:
        seconds = None if deadline is None else deadline - self.clock()
        answer = self._ask({**request, "seconds": seconds}, [], renders=renders)
        result: dict[str, Any] = decode(_ok(answer))
        return result

    def _ask(
        self, request: Mapping[str, Any], others: Sequence[bytes], *, renders: int = 1
    ) -> bytes:
        message = pack([encode(request), *others])
        seconds = longest_wait(self.limits, renders)
        process = self.take()
        was_used = process.is_used
        answer = self._attempt(process, message, seconds)
        if was_used and answer == self.over_memory:
            # What a process keeps of other requests must not be held against this one.
            answer = self._attempt(RenderProcess(self.limits), message, seconds)
        return answer

    def _attempt(self, process: RenderProcess, message: bytes, seconds: float) -> bytes:
        try:
            answers = process.receive(seconds) if process.send(message, seconds) else None
        except BaseException:
            # A soft time limit may have come in between: what the pipe holds is unknown now.
            process.kill()
            _log_replaced(process, None, "interrupted")
            raise
        if answers is None:
            error = self.ended(process)
            if not isinstance(error, RenderLimitExceeded):
                raise error
            return encode({"error": error.args})
        answer, took = answers
        seconds_spent, is_full = decode(took)
        self._spent.seconds = self._seconds_spent + seconds_spent
        self.give_back(process, is_full=is_full)
        return answer

    def take(self) -> RenderProcess:
        """Return an idle process, or a new one; nothing else uses it."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return RenderProcess(self.limits)
            if process.is_alive():
                return process
            _log_replaced(process, process.wait(), "lost")
            process.close()

    def give_back(self, process: RenderProcess, *, is_full: bool = False) -> None:
        """Make a process idle, or end one that is full; all it was asked has been answered."""
        if is_full:
            process.close()
            _log_replaced(process, None, "full")
            return
        process.is_used = True
        with self._lock:
            self._idle.append(process)

    def ended(self, process: RenderProcess) -> Exception:
        """Return the error of a process that did not answer; the next request starts another."""
        status = process.wait()
        error = self.limit_error(status)
        is_limit = isinstance(error, RenderLimitExceeded)
        _log_replaced(process, status, "limit" if is_limit else "lost")
        return error

    def limit_error(self, status: int) -> Exception:
        """Return which limit ended a process with an exit status, negative for a signal.

        Any other signal is none of a limit: SIGKILL comes from the kernel when the machine is out
        of memory, and from :meth:`RenderProcess.wait` when the process was stopped or waited too
        long for a processor.
        """
        limits = self.limits
        if status == -signal.SIGPROF:
            reason = f"more than {limits.render_seconds:g} s of processor time"
        elif status == -signal.SIGABRT:
            return _error(memory_error(limits))
        elif status == -signal.SIGSEGV:
            reason = "nested too deeply"
        elif status < 0:
            return RenderProcessError(f"the render process was ended by signal {-status}")
        else:
            return RenderProcessError(f"the render process ended with status {status}")
        return RenderLimitExceeded.at("", "limit", f"the render was stopped: {reason}", reason)


def _log_replaced(process: RenderProcess, status: int | None, cause: str) -> None:
    replaced.count(cause)
    log_event(
        logger,
        "render_process_replaced",
        # That a process is full is no fault of anyone's.
        level=logging.INFO if cause == "full" else logging.WARNING,
        pid=process.pid,
        status=status,
        cause=cause,
    )


class Stream:
    """Renders in groups; the next group may be sent while one is rendered.

    Use it as a context manager. Every group that was put must be taken, in order.
    """

    def __init__(self, renderer: Renderer, deadline: float) -> None:
        self._renderer = renderer
        self._deadline = deadline
        self._process: RenderProcess | None = None
        self._is_full = False
        self._waiting: deque[tuple[RenderProcess, Sequence[Text], Sequence[Item]]] = deque()

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Give the process back; end it if replies may be outstanding."""
        process, self._process = self._process, None
        if process is None:
            return
        if failure is not None or self._waiting:
            process.kill()
            _log_replaced(process, None, "interrupted")
        else:
            self._renderer.give_back(process, is_full=self._is_full)

    def put(self, texts: Sequence[Text], items: Sequence[Item]) -> None:
        """Hand over a group of items, and the texts that they are rendered with."""
        if self._process is None:
            self._process = self._renderer.take()
        request = {
            "operation": "render",
            "texts": len(texts),
            "indexes": [index for index, _ in items],
            "deadline": self._deadline,
        }
        message = pack([encode(request), *map(encode, texts), *(values for _, values in items)])
        self._process.send(message, self._seconds(len(items)))
        self._waiting.append((self._process, texts, items))

    def take(self) -> list[bytes]:
        """Return what each item of the oldest group gives, as JSON.

        ``{"ok": parts}`` or ``{"error": [code, message, details]}``. An item that goes over a limit
        may take its process with it, and together the items of a group have the memory of one. So
        items without a result are rendered once more, one by one.
        """
        process, texts, items = self._waiting.popleft()
        is_dead = process is not self._process
        answers = None if is_dead else process.receive(self._seconds(len(items)))
        if answers is None:
            error = None if is_dead else self._renderer.ended(process)
            self._process = None if self._process is process else self._process
            if error is not None and len(items) == 1:
                if not isinstance(error, RenderLimitExceeded):
                    raise error
                if (answer := encode({"error": error.args})) != self._renderer.over_memory:
                    return [answer]
            answers = [_OVER_LIMIT] * len(items)
        else:
            *answers, took = answers
            _, self._is_full = decode(took)
            if len(items) == 1 and answers[0] != self._renderer.over_memory:
                return answers
        return [
            self._alone(texts[index], values) if answer.startswith(_OVER_LIMIT) else answer
            for answer, (index, values) in zip(answers, items, strict=True)
        ]

    def _alone(self, text: Text, values: bytes) -> bytes:
        return self._renderer.answer(text, values, self._deadline)

    def _seconds(self, items: int) -> float:
        waiting = sum(len(items) for _, _, items in self._waiting)
        return longest_wait(self._renderer.limits, items + waiting)


_OK: Final = b'{"ok":'
_OVER_LIMIT: Final = b'{"error":["%b"' % RenderLimitExceeded.code.encode()
_ERRORS: Final = {error.code: error for error in ServiceError.__subclasses__()}


def _ok(answer: bytes) -> bytes:
    """Return what an answer holds, as JSON, or raise its error."""
    if not answer.startswith(_OK):
        raise _error(decode(answer)["error"])
    return answer[len(_OK) : -1]


def _error(triple: Sequence[Any]) -> ServiceError:
    code, message, details = triple
    return _ERRORS[code](code, message, details)
