"""The limits of a message and of a render."""

from dataclasses import dataclass
from typing import Any, Final

from tasks.errors import Code

SECONDS_OF_EACH: Final = 0.04
"""Additional time of the trial renders for each translation that is carried over."""

TRIAL_RENDERS: Final = 16
"""Trial renders of one text: two parts, four stand-ins, optional values given and left out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one message. Sizes are bytes of UTF-8 (of JSON for variables and messages)."""

    body_bytes: int = 256 * 1024
    subject_bytes: int = 2 * 1024
    variables_bytes: int = 256 * 1024
    output_bytes: int = 2 * 1024 * 1024
    message_bytes: int = 1024 * 1024
    translations: int = 200
    render_seconds: float = 1.0
    render_memory_bytes: int = 256 * 1024 * 1024
    depth: int = 64
    """Levels of objects and arrays in variables and metadata."""

    batch_bytes: int = 4 * 1024 * 1024
    batch_items: int = 1000
    batch_output_bytes: int = 64 * 1024 * 1024
    batch_seconds: float = 12.0
    """After which the rest of a batch's items is refused."""

    trial_seconds: float = 2.0
    """Of the trial renders of a publish, all together."""

    partial_depth: int = 10


def memory_error(limits: Limits) -> list[Any]:
    """Return code, message and details for a render that needed more memory than there is."""
    message = f"more than {limits.render_memory_bytes} bytes of memory"
    return [
        Code.RENDER_LIMIT_EXCEEDED,
        message,
        [{"path": "", "type": "limit", "message": message}],
    ]
