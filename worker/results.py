"""The result backend: Celery's for Redis, storing an answer in one step instead of three."""

from typing import Any, Final

from celery import states
from celery.backends import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.objects import cached_property

from tasks.base import Answer

# What begins a stored success, as kombu's encoder writes it.
_SUCCESS: Final = '{"status": "SUCCESS"'
_STORE: Final = f"""
if redis.call('GETRANGE', KEYS[1], 0, {len(_SUCCESS) - 1}) == '{_SUCCESS}' then
    return 0
end
if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


class _InOneStep:
    """Keeps a success that is stored, as Celery does, but looks and stores in one round trip.

    Celery looks first and stores then, so that of two deliveries at once a late failure could
    replace a success; and the look costs a round trip for each answer.
    """

    def _store_result(
        self: Any,
        task_id: str,
        result: object,
        state: str,
        traceback: str | None = None,
        request: object = None,
        **_: object,
    ) -> object:
        meta = self._get_result_meta(
            result=result, state=state, traceback=traceback, request=request
        )
        meta["task_id"] = bytes_to_str(task_id)
        expires = self.failure_expires if state == states.FAILURE else self.expires
        arguments = (self.get_key_for_task(task_id), _encoded(self, meta), int(expires or 0))
        self.ensure(self._store_once, arguments)
        return result

    def _store_once(self: Any, key: bytes, value: str | bytes, expires: int) -> None:
        self._script(keys=[key], args=[value, expires])

    @cached_property  # type: ignore[untyped-decorator]  # kombu ships no types
    def _script(self: Any) -> Any:  # noqa: ANN401 - Celery ships no types
        return self.client.register_script(_STORE)


def _encoded(backend: Any, meta: dict[str, Any]) -> str | bytes:  # noqa: ANN401 - Celery ships no types
    """Return what is stored; a result that is JSON already goes in as it is."""
    result = meta["result"]
    if not isinstance(result, Answer) or result.stored is None:
        encoded: str = backend.encode(meta)
        return encoded
    rest = backend.encode({key: value for key, value in meta.items() if key != "result"}).encode()
    status = rest[: len(_SUCCESS)]
    return b'%b, "result": %b%b' % (status, result.stored, rest[len(_SUCCESS) :])


class RedisBackend(_InOneStep, redis.RedisBackend):  # type: ignore[misc]  # Celery ships no types
    """For redis:// and rediss://."""


class SentinelBackend(_InOneStep, redis.SentinelBackend):  # type: ignore[misc]  # Celery ships no types
    """For sentinel://."""


def backend_url(url: str) -> str:
    """Return ``url`` with the class that Celery shall use, as its loader reads it."""
    name = "SentinelBackend" if url.startswith("sentinel:") else "RedisBackend"
    return f"{__name__}:{name}+{url}"
