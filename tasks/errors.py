"""The error codes of the contract, as exceptions that any client language can read.

A refused message ends in state FAILURE. Celery's JSON result then holds ``exc_type`` (the class
name) and ``exc_message``, which is always ``[code, message, details]``: the three arguments of the
exception. ``details`` is a list of :class:`Problem`. Messages and details name ids, paths, limits
and sizes, never a value of a producer, because they reach logs and Flower.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import islice
from typing import ClassVar, Final, NotRequired, Self, TypedDict

MOST_PROBLEMS: Final = 100
"""The most problems that one error lists."""
_READ_AGAIN: Final = "read the template again, then resend"


class Code(StrEnum):
    """Error codes.

    The same message may succeed when it is sent again after ``unavailable``, and after
    ``maintenance_failed`` with a temporary cause, such as ``server_away`` or ``in_use``.
    """

    INVALID_MESSAGE = "invalid_message"
    TOO_LARGE = "too_large"
    TEMPLATE_EXISTS = "template_exists"
    TEMPLATE_NOT_FOUND = "template_not_found"
    TEMPLATE_INACTIVE = "template_inactive"
    TEMPLATE_IN_USE = "template_in_use"
    VERSION_EXISTS = "version_exists"
    VERSION_NOT_FOUND = "version_not_found"
    VERSION_CONFLICT = "version_conflict"
    VERSION_NOT_DRAFT = "version_not_draft"
    BREAKING_CHANGE = "breaking_change"
    BUNDLE_REFUSED = "bundle_refused"
    LANGUAGE_NOT_FOUND = "language_not_found"
    TEMPLATE_SYNTAX = "template_syntax"
    PLACEHOLDER_MISMATCH = "placeholder_mismatch"
    VARIABLES_INVALID = "variables_invalid"
    RENDER_LIMIT_EXCEEDED = "render_limit_exceeded"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    POISON_MESSAGE = "poison_message"
    MAINTENANCE_FAILED = "maintenance_failed"
    UNAVAILABLE = "unavailable"


class Problem(TypedDict):
    """One problem of a message.

    ``path`` leads to the place in the message (``variables.user.name``, ``items[3].key``);
    ``type`` is a short machine-readable name; ``message`` says what was expected. Problems of a
    template's source also carry ``line`` and ``column`` (both from 1) and ``snippet``, the line
    with a caret under the place. Conflicts carry what was ``expected`` and what is ``current``;
    problems of a bundle ``template_id`` and ``code``, the code of the same problem in a message of
    its own.
    """

    path: str
    type: str
    message: str
    line: NotRequired[int]
    column: NotRequired[int]
    snippet: NotRequired[str]
    expected: NotRequired[str | int]
    current: NotRequired[str | int]
    current_version: NotRequired[str | None]
    template_id: NotRequired[str]
    code: NotRequired[str]


def problem(path: str, kind: str, message: str) -> Problem:
    """Return a problem without a position."""
    return {"path": path, "type": kind, "message": message}


class ServiceError(Exception):
    """Base of all errors of the contract.

    Parameters
    ----------
    code
        One of :class:`Code`. Celery rebuilds the exception from ``exc_message`` on the
        producer's side, which is why the code is an argument although each class has its own.
    message
        One sentence.
    details
        Every problem found, in the order of the message.
    """

    code: ClassVar[Code]

    def __init__(self, code: str, message: str, details: Sequence[Problem] = ()) -> None:
        super().__init__(str(code), message, list(details))

    @classmethod
    def of(cls, message: str, details: Iterable[Problem] = ()) -> Self:
        """Return an error of this class with its own code, and its first problems.

        The number is limited: an answer should not be larger than its message.
        """
        problems = list(islice(details, MOST_PROBLEMS + 1))
        if len(problems) > MOST_PROBLEMS:
            more = f"there are more problems; only the first {MOST_PROBLEMS} are listed"
            problems[MOST_PROBLEMS:] = [{"path": "", "type": "more", "message": more}]
        return cls(cls.code, message, problems)

    @classmethod
    def at(cls, path: str, kind: str, message: str, remedy: str | None = None) -> Self:
        """Return an error of this class with one problem, whose message is ``remedy`` if given."""
        return cls.of(message, [problem(path, kind, remedy or message)])

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return str(self.args[1])

    @property
    def details(self) -> list[Problem]:
        """Every problem found."""
        return list(self.args[2])

    def __str__(self) -> str:
        """Return code and sentence, all that a log line, a traceback or Flower may show."""
        return f"{self.args[0]}: {self.args[1]}"

    def __repr__(self) -> str:
        """Return the same with the name of the class."""
        return f"{type(self).__name__}({self})"


class InvalidMessage(ServiceError):
    """The message does not match its model."""

    code = Code.INVALID_MESSAGE


class TooLarge(ServiceError):
    """A part of the message exceeds a limit."""

    code = Code.TOO_LARGE


class TemplateExists(ServiceError):
    """A template with that template_id exists, perhaps soft-deleted."""

    code = Code.TEMPLATE_EXISTS

    @classmethod
    def named(cls, template_id: str, *, deleted: bool) -> Self:
        """Return the error for ``template_id``."""
        hint = "choose another template_id, or change the existing template with template.update"
        if deleted:
            hint = "it is soft-deleted: template.restore brings it back"
        return cls.at("template_id", "exists", f"template '{template_id}' already exists", hint)


class TemplateNotFound(ServiceError):
    """No template with that template_id, or it is soft-deleted."""

    code = Code.TEMPLATE_NOT_FOUND

    @classmethod
    def named(cls, template_id: str) -> Self:
        """Return the error for ``template_id``."""
        return cls.at(
            "template_id",
            "not_found",
            f"template '{template_id}' does not exist",
            "template.list names existing templates; template.restore brings back a deleted one",
        )


class TemplateInactive(ServiceError):
    """The template is switched off with is_active."""

    code = Code.TEMPLATE_INACTIVE

    @classmethod
    def named(cls, template_id: str) -> Self:
        """Return the error for ``template_id``."""
        return cls.at(
            "template_id",
            "inactive",
            f"template '{template_id}' is not active",
            "template.update with is_active true switches it on",
        )


class TemplateInUse(ServiceError):
    """Other templates include or extend the partial."""

    code = Code.TEMPLATE_IN_USE

    @classmethod
    def by(cls, template_id: str, users: Sequence[str]) -> Self:
        """Return the error for ``template_id``, naming the templates that use it."""
        return cls.of(
            f"partial '{template_id}' is in use by {len(users)} template(s)",
            [
                problem(
                    "template_id",
                    "in_use",
                    f"'{user}' uses it: publish that template without it first",
                )
                for user in users
            ],
        )


class VersionExists(ServiceError):
    """The template has a version of that name; versions are immutable."""

    code = Code.VERSION_EXISTS

    @classmethod
    def named(cls, template_id: str, version: str) -> Self:
        """Return the error for ``version`` of ``template_id``."""
        return cls.at(
            "version",
            "exists",
            f"template '{template_id}' already has a version '{version}'",
            "choose another name, or leave it out for the next number",
        )


class VersionNotFound(ServiceError):
    """The template has no such version, or none at all."""

    code = Code.VERSION_NOT_FOUND

    @classmethod
    def named(cls, template_id: str, version: str | None, path: str = "version") -> Self:
        """Return the error for ``version`` of ``template_id``; None means the current one.

        ``path`` is where the message names it.
        """
        if version is None:
            message = f"template '{template_id}' has no current version"
            hint = "create the first one with version.publish"
        else:
            message = f"template '{template_id}' has no version '{version}'"
            hint = "version.list names those that exist"
        return cls.at(path, "not_found", message, hint)


class VersionConflict(ServiceError):
    """Another producer was first: the template is not as the message expects it to be."""

    code = Code.VERSION_CONFLICT

    @classmethod
    def between(cls, template_id: str, expected: str | int, current: str | None) -> Self:
        """Return the error naming the ``expected`` and the ``current`` version."""
        wanted = f"'{expected}'" if isinstance(expected, str) else "none"
        actual = f"'{current}'" if current is not None else "none"
        conflict = problem(
            "expected_version",
            "conflict",
            f"expected {wanted}, current is {actual}: {_READ_AGAIN}",
        )
        conflict |= {"expected": expected, "current": current if current is not None else 0}
        return cls.of(
            f"template '{template_id}': expected version {wanted}, current is {actual}", [conflict]
        )

    @classmethod
    def of_digests(
        cls, template_id: str, expected: str, current: str, version: str | None, path: str
    ) -> Self:
        """Return the error of a template or a draft that has changed since it was read.

        ``version`` is the current version, or the draft.
        """
        what = f"version {version!r}" if version is not None else "no version"
        changed = problem(
            path,
            "changed",
            f"the contents differ from the expected ones; the template has {what} now: "
            f"{_READ_AGAIN}",
        )
        changed |= {"expected": expected, "current": current, "current_version": version}
        message = f"template '{template_id}' was changed since it was read; it has {what} now"
        return cls.of(message, [changed])


class VersionNotDraft(ServiceError):
    """The version was current at some time, so it cannot be replaced."""

    code = Code.VERSION_NOT_DRAFT

    @classmethod
    def named(cls, template_id: str, version: str) -> Self:
        """Return the error for ``version`` of ``template_id``."""
        return cls.at(
            "replace_draft",
            "not_draft",
            f"version '{version}' of '{template_id}' is not a draft",
            f"only a version that was never current can be replaced: publish '{version}' under "
            "another name, or leave version out for the next number",
        )


class BreakingChange(ServiceError):
    """Producers of the current version would be refused by the new one."""

    code = Code.BREAKING_CHANGE


class BundleRefused(ServiceError):
    """Templates of a bundle are refused, and the bundle stores nothing."""

    code = Code.BUNDLE_REFUSED


class LanguageNotFound(ServiceError):
    """The version has no text in that language, and the message allows no other."""

    code = Code.LANGUAGE_NOT_FOUND

    @classmethod
    def named(cls, path: str, language: str, available: Sequence[str]) -> Self:
        """Return the error for ``language``, naming the languages that are ``available``."""
        return cls.at(
            path,
            "not_found",
            f"no text in '{language}'",
            f"available: {', '.join(available) or 'none'}",
        )


class TemplateSyntax(ServiceError):
    """A source does not compile, or uses what this service does not offer."""

    code = Code.TEMPLATE_SYNTAX


class PlaceholderMismatch(ServiceError):
    """Placeholders and declared variables, or two languages, do not match."""

    code = Code.PLACEHOLDER_MISMATCH


class VariablesInvalid(ServiceError):
    """The values do not match the version's variables."""

    code = Code.VARIABLES_INVALID


class RenderLimitExceeded(ServiceError):
    """Rendering took more time, memory or output than allowed."""

    code = Code.RENDER_LIMIT_EXCEEDED


class IdempotencyConflict(ServiceError):
    """The idempotency key was used before, with another task or other content."""

    code = Code.IDEMPOTENCY_CONFLICT

    @classmethod
    def of_key(cls, path: str) -> Self:
        """Return the error; ``path`` is ``idempotency_key`` or ``id``, the Celery task id."""
        return cls.at(
            path,
            "conflict",
            "the idempotency key was already used with other content",
            "send new content with a new key; the first write stands",
        )


class PoisonMessage(ServiceError):
    """The message killed its worker process in every try; it is a dead letter now."""

    code = Code.POISON_MESSAGE


class MaintenanceFailed(ServiceError):
    """A maintenance task could not do its work; the type of its one problem names the cause."""

    code = Code.MAINTENANCE_FAILED

    @classmethod
    def because(cls, kind: str, message: str, remedy: str) -> Self:
        """Return the error for the cause ``kind``, with what to do about it."""
        return cls.at("", kind, message, remedy)


class Unavailable(ServiceError):
    """A server did not answer in any of the retries. The message may be sent again."""

    code = Code.UNAVAILABLE
