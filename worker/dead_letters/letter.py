"""A dead letter read from the queue."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Self

from worker.queues import CONSUMED

ID_LENGTH: Final = 12
_CONSUMED: Final = frozenset(queue.value for queue in CONSUMED)


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter read from the queue.

    Attributes
    ----------
    id
        Beginning of the letter's checksum; not the message's id.
    kept
        The parsed document; empty if the entry is not a letter of this service.
    size
        Bytes of the document.
    handle
        The broker's handle for the letter.
    """

    id: str
    kept: dict[str, Any]
    size: int
    handle: Any

    @classmethod
    def of(cls, body: bytes, handle: object = None) -> Self:
        """Return the dead letter of a document and the broker's handle for it."""
        try:
            kept = json.loads(body)
        except (ValueError, RecursionError):
            kept = {}
        checksum = hashlib.sha256(body).hexdigest()
        return cls(checksum[:ID_LENGTH], kept if isinstance(kept, dict) else {}, len(body), handle)

    @property
    def reason(self) -> str:
        """Why the message was refused."""
        return str(self.kept.get("reason", "not a letter of this service"))

    @cached_property
    def kept_at(self) -> datetime | None:
        """Time at which the message became a dead letter; None if the document lacks it."""
        try:
            kept_at = datetime.fromisoformat(self.kept["kept_at"])
        except (KeyError, TypeError, ValueError):
            return None
        return kept_at if kept_at.tzinfo else kept_at.replace(tzinfo=UTC)

    @property
    def queue(self) -> str | None:
        """The queue of this service that the message came from; None if it is unknown."""
        information = self.kept.get("delivery_info")
        routed = information.get("routing_key") if isinstance(information, dict) else None
        name = self.kept.get("queue") or routed
        return name if isinstance(name, str) and name in _CONSUMED else None

    @property
    def task_id(self) -> str | None:
        """The message's task id, which its producer knows; None without one."""
        name = self.kept.get("task_id") or self.headers.get("id")
        return name if isinstance(name, str) else None

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers."""
        headers = self.kept.get("headers")
        return headers if isinstance(headers, dict) else {}

    @property
    def body(self) -> bytes:
        """The message's body; empty if it could not be read."""
        return _decoded(self.kept.get("body")) or b""

    @property
    def raw(self) -> bytes | None:
        """The message's entry of its Redis list; None for other brokers and older letters."""
        return _decoded(self.kept.get("raw"))


def _decoded(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None
