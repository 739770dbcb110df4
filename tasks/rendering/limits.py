"""The limits of a message and of a render."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may cost. Sizes are bytes of UTF-8 (of JSON for variables and messages)."""

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
