"""What an operation on the database may fail with, in words for an operator."""


class OperationError(Exception):
    """A backup, restore, recovery or other operation that did not do what it was asked.

    Nothing that was there before is lost or changed when it is raised.

    Parameters
    ----------
    kind
        A short machine-readable cause, such as ``disk_full`` or ``checksum_mismatch``.
    message
        One sentence: what is wrong. It names files, ids and sizes, never rows or passwords.
    remedy
        What to do about it, as a sentence or a command.
    """

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return message and remedy, for a person."""
        return f"{self.message}: {self.remedy}"
