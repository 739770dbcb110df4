"""JSON Schema of fields, beyond their types; it validates nothing.

The validators of :mod:`tasks.messages.fields` explain what is wrong better than pydantic does of a
pattern. So a pattern is here once more, for the contract (``worker/contract/``); a test checks
that both agree. ``x-limit`` names a limit of :class:`tasks.rendering.limits.Limits`, for which the
contract writes its setting; ``x-items`` names the model of a list's items, where validating each
item would cost time and change nothing.
"""

from typing import Any

from pydantic import Field

from tasks.rendering.limits import Limits

NO_NUL = "^[^\\u0000]*$"


def described(**keywords: Any) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """Return an annotation that adds ``keywords`` to a field's JSON Schema."""
    extra = {name.replace("_", "-"): value for name, value in keywords.items()}
    return Field(json_schema_extra=extra)


def source(limit: str) -> Any:  # noqa: ANN401 - the same
    """Return the annotation of a text with a limit in bytes: it has at most as many characters."""
    return Field(
        json_schema_extra={
            "maxLength": getattr(Limits(), limit),
            "pattern": NO_NUL,
            "x-limit": limit,
        }
    )


def items_are(model: str) -> Any:  # noqa: ANN401 - the same
    """Return the annotation of a list whose items are described by ``model``."""
    return Field(json_schema_extra={"x-items": model})
