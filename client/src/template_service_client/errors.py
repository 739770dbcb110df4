"""An exception for each error code. Generated from the contract by client/generate.py."""

from typing import Final

from template_service_client.exceptions import ServiceError


class InvalidMessage(ServiceError):
    """The message does not match its model."""


class TooLarge(ServiceError):
    """A part of the message exceeds a limit."""


class TemplateExists(ServiceError):
    """A template with that template_id exists, perhaps soft-deleted."""


class TemplateNotFound(ServiceError):
    """No template with that template_id, or it is soft-deleted."""


class TemplateInactive(ServiceError):
    """The template is switched off with is_active."""


class TemplateInUse(ServiceError):
    """Other templates include or extend the partial."""


class VersionExists(ServiceError):
    """The template has a version of that name; versions are immutable."""


class VersionNotFound(ServiceError):
    """The template has no such version, or none at all."""


class VersionConflict(ServiceError):
    """Another producer was first: the template is not as the message expects it to be."""


class VersionNotDraft(ServiceError):
    """The version was current at some time, so it cannot be replaced."""


class BreakingChange(ServiceError):
    """Producers of the current version would be refused by the new one."""


class BundleRefused(ServiceError):
    """Templates of a bundle are refused, and the bundle stores nothing."""


class LanguageNotFound(ServiceError):
    """The version has no text in that language, and the message allows no other."""


class TemplateSyntax(ServiceError):
    """A source does not compile, or uses what this service does not offer."""


class PlaceholderMismatch(ServiceError):
    """Placeholders and declared variables, or two languages, do not match."""


class VariablesInvalid(ServiceError):
    """The values do not match the version's variables."""


class RenderLimitExceeded(ServiceError):
    """Rendering took more time, memory or output than allowed."""


class IdempotencyConflict(ServiceError):
    """The idempotency key was used before, with another task or other content."""


class PoisonMessage(ServiceError):
    """The message killed its worker process in every try; it is a dead letter now."""


class MaintenanceFailed(ServiceError):
    """A maintenance task could not do its work; the type of its one problem names the cause."""


class Unavailable(ServiceError):
    """A server did not answer in any of the retries. The message may be sent again."""


ERRORS: Final[dict[str, type[ServiceError]]] = {
    "invalid_message": InvalidMessage,
    "too_large": TooLarge,
    "template_exists": TemplateExists,
    "template_not_found": TemplateNotFound,
    "template_inactive": TemplateInactive,
    "template_in_use": TemplateInUse,
    "version_exists": VersionExists,
    "version_not_found": VersionNotFound,
    "version_conflict": VersionConflict,
    "version_not_draft": VersionNotDraft,
    "breaking_change": BreakingChange,
    "bundle_refused": BundleRefused,
    "language_not_found": LanguageNotFound,
    "template_syntax": TemplateSyntax,
    "placeholder_mismatch": PlaceholderMismatch,
    "variables_invalid": VariablesInvalid,
    "render_limit_exceeded": RenderLimitExceeded,
    "idempotency_conflict": IdempotencyConflict,
    "poison_message": PoisonMessage,
    "maintenance_failed": MaintenanceFailed,
    "unavailable": Unavailable,
}
