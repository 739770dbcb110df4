"""A problem of the archive or of a base backup, as ``pitr verify`` reports it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that makes times unrecoverable, or will.

    Attributes
    ----------
    kind
        A stable name, such as ``segment_missing``.
    name
        The segment, the history file or the base backup.
    message
        What is wrong, in one sentence that begins with the name.
    """

    kind: str
    name: str
    message: str
