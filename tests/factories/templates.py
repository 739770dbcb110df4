"""Templates for tests; each has an id of its own, so that tests share a database."""

import uuid
from typing import Any, Protocol


class Caller(Protocol):
    """Anything that answers messages."""

    def call(self, task: str, keywords: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a message."""


def template_id(prefix: str = "welcome") -> str:
    """Return an id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex}"


def created(caller: Caller, **keywords: Any) -> str:  # noqa: ANN401 - a message's keywords
    """Create a template and return its id."""
    message = {"template_id": template_id(), "name": "Welcome", "type": "email"} | keywords
    return str(caller.call("template.create", message)["template_id"])


def versions(caller: Caller, template: str) -> list[dict[str, Any]]:
    """Return the versions of a template, the newest first."""
    listed: list[dict[str, Any]] = caller.call("version.list", {"template_id": template})[
        "versions"
    ]
    return listed


def published(
    caller: Caller,
    body: str = "<p>Dear {{ name }}</p>",
    **keywords: Any,  # noqa: ANN401 - a message's keywords
) -> str:
    """Create a template with one version and return its id."""
    template = created(caller, type=keywords.pop("type", "email"))
    caller.call("version.publish", {"template_id": template, "body": body} | keywords)
    return template
