"""``render.batch``: one version for many recipients.

The render process answers in JSON, and a result is JSON: so its answers are joined as bytes, and
the texts of a thousand recipients are never decoded.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic_core import PydanticCustomError

from tasks import facts
from tasks.errors import (
    InvalidMessage,
    RenderLimitExceeded,
    ServiceError,
    TooLarge,
    VariablesInvalid,
    problem,
)
from tasks.messages.base import KEY_LENGTH, encodable, parse
from tasks.messages.python_values import MARK, converted
from tasks.messages.render import BatchItem, RenderBatch
from tasks.rendering.client import Stream
from tasks.rendering.frames import decode, encode
from tasks.rendering.texts import Text
from tasks.rendering.variables import Bound
from tasks.services.rendering import Localized, VersionTexts
from tasks.work import Answer, Lookup

GROUP: Final = 100
"""Items that are handed to the render process together."""

_OK: Final = b'{"ok":{'


class _Ready(NamedTuple):
    """An item that can be rendered; ``key`` and ``about`` are JSON."""

    key: bytes
    text: Text
    values: bytes
    about: bytes


def render_batch(message: RenderBatch, work: Lookup) -> Answer:
    """Render every item with one version; a bad one is reported, and does not fail the others."""
    batch = _Batch(message, work)
    with facts.known(**batch.facts):
        results = batch.results()
    about = batch.about()
    separated = [piece for result in results for piece in (b",", result)][1:]
    return Answer(about, [encode(about)[:-1], b',"items":[', *separated, b"]}"])


class _Batch:
    """The renders of one message."""

    def __init__(self, message: RenderBatch, work: Lookup) -> None:
        self._message = message
        self._limits = work.configuration.limits
        self._renderer = work.runtime.renderer
        self._version = VersionTexts(message, work)
        self._about: dict[tuple[Any, ...], bytes] = {}
        self._deadline = time.monotonic() + self._limits.batch_seconds
        self._bytes_left = self._limits.batch_output_bytes
        self._rendered = self._failed = 0

    @property
    def facts(self) -> dict[str, str]:
        """Facts of a refusal for logs and metrics."""
        return self._version.facts

    def about(self) -> dict[str, Any]:
        """Return the members of the answer that concern all items."""
        return self._version.identity | {"rendered": self._rendered, "failed": self._failed}

    def results(self) -> list[bytes]:
        """Return the result of each item, in order."""
        items = self._message.items
        results: list[bytes] = []
        before: list[_Ready | bytes] = []
        with self._renderer.stream(self._deadline) as stream:
            for start in range(0, len(items), GROUP):
                # While the render process works on one group, the next is made ready.
                group = items[start : start + GROUP]
                # Kinds may be as many as items, and each as long as a message.
                self._about.clear()
                ready = [self._ready(number, item) for number, item in enumerate(group, start)]
                _put(stream, ready)
                results += self._finished(before, stream) if before else ()
                before = ready
            results += self._finished(before, stream) if before else ()
        return results

    def _finished(self, group: Sequence[_Ready | bytes], stream: Stream) -> list[bytes]:
        answers = iter(stream.take())
        return [
            self._result(item, next(answers)) if isinstance(item, _Ready) else item
            for item in group
        ]

    def _ready(self, number: int, given: object) -> _Ready | bytes:
        """Return an item to render, or the error result of an item that cannot be rendered."""
        if (refusal := self._refusal()) is not None:
            return self._failure(_key_of(given), *refusal)
        try:
            return self._checked(given)
        except ServiceError as error:
            details = [each | {"path": _path(number, each["path"])} for each in error.details]
            return self._failure(_key_of(given), error.args[0], error.message, details)

    def _checked(self, given: object) -> _Ready:
        if not isinstance(given, dict):
            message = "expected an object: key, variables and optionally language"
            raise InvalidMessage.at("", "object", message)
        try:
            ready = self._bound(BatchItem.model_validate(given))
        except (ValueError, RecursionError, ServiceError):
            # What is not a model, not UTF-8 or not JSON is reported before what does not match the
            # version, as it is for other messages.
            parse(BatchItem, given, self._limits)
            raise
        values = ready.values
        is_deep = values.count(b"{") + values.count(b"[") > self._limits.depth
        # A number that is not finite is encoded as null.
        if is_deep or b"null" in values:
            parse(BatchItem, given, self._limits)
        return ready

    def _bound(self, item: BatchItem) -> _Ready:
        language = item.language if item.language is not None else self._message.language
        localized = self._version.in_language(language)
        given = {**self._message.variables, **item.variables}
        bound, values = self._encoded(given, localized)
        limit = self._limits.variables_bytes
        # Defaults are the version's own.
        if len(values) > limit and (size := len(encode(given))) > limit:
            message = f"variables is {size} bytes, the limit is {limit}"
            raise TooLarge.at("variables", "too_large", message)
        kind = (language, *bound.defaulted, None, *bound.unused)
        if kind not in self._about:
            self._about[kind] = encode(self._version.about_request(language, localized, bound))
        return _Ready(encode(item.key), localized.text, values, self._about[kind])

    def _encoded(self, given: Mapping[str, Any], localized: Localized) -> tuple[Bound, bytes]:
        """Return values with their defaults, and as JSON, without the marks of Python's types.

        To look for the marks in each item first would take longer.
        """
        try:
            bound = self._version.bound(given, localized)
            values = encode(bound.values)
            if MARK.encode() not in values:
                return bound, values
        except VariablesInvalid:
            if MARK not in json.dumps(given):
                raise
        try:
            plain = converted(given)
        except PydanticCustomError as error:
            raise InvalidMessage.at("variables", error.type, error.message()) from None
        bound = self._version.bound(plain, localized)
        return bound, encode(bound.values)

    def _result(self, item: _Ready, answer: bytes) -> bytes:
        if not answer.startswith(_OK):
            return self._failure(item.key, *decode(answer)["error"])
        # The members of both objects in one.
        parts = answer[len(_OK) : -1]
        result = b'{"key":%b,"ok":true,%b,%b' % (item.key, item.about[1:-1], parts)
        self._bytes_left -= len(result)
        if self._bytes_left < 0:
            return self._failure(item.key, *self._too_much())
        self._rendered += 1
        return result

    def _failure(self, key: bytes, code: str, message: str, details: object) -> bytes:
        self._failed += 1
        error = _error(code, message, details)
        self._bytes_left -= len(error)
        if self._bytes_left < 0:
            error = _error(*self._too_much())
        return b'{"key":%b,"ok":false,"error":%b}' % (key, error)

    def _refusal(self) -> tuple[str, str, object] | None:
        """Return why the rest of the batch is refused, or None while it is not."""
        if self._bytes_left < 0:
            return self._too_much()
        if time.monotonic() > self._deadline:
            return _limit(f"the batch took more than {self._limits.batch_seconds:g} s")
        return None

    def _too_much(self) -> tuple[str, str, object]:
        limit = self._limits.batch_output_bytes
        return _limit(f"the results of the batch are more than {limit} bytes")


def _put(stream: Stream, ready: Sequence[_Ready | bytes]) -> None:
    wanted = [item for item in ready if isinstance(item, _Ready)]
    texts = list({id(item.text): item.text for item in wanted}.values())
    indexes = {id(text): index for index, text in enumerate(texts)}
    stream.put(texts, [(indexes[id(item.text)], item.values) for item in wanted])


def _path(number: int, path: str) -> str:
    return f"items[{number}].{path}" if path else f"items[{number}]"


def _limit(message: str) -> tuple[str, str, object]:
    return RenderLimitExceeded.code, message, [problem("items", "limit", message)]


def _error(code: str, message: str, details: object) -> bytes:
    return encode({"code": code, "message": message, "details": details})


def _key_of(given: object) -> bytes:
    """Return the key of an item that may be anything, as JSON; null where there is none."""
    key = given.get("key") if isinstance(given, dict) else None
    is_text = isinstance(key, str) and len(key) <= KEY_LENGTH and encodable(key)
    return encode(key if is_text or type(key) is int else None)
