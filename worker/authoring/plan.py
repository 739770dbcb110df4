"""The plan of a push: what becomes of each template. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tasks.errors import Problem
from tasks.rendering.changes import breaking_changes, removed_blocks
from tasks.rendering.texts import Sources
from worker.authoring.definition import FIELDS, Definition
from worker.authoring.service import Remote
from worker.authoring.state import Base


class Action(StrEnum):
    """Action of a push on a template."""

    ADD = "added"
    CHANGE = "changed"
    UNCHANGED = "unchanged"
    BEHIND = "behind"
    CONFLICT = "conflict"


@dataclass(slots=True)
class Step:
    """A push's action for one template, and its result.

    Attributes
    ----------
    version
        The current version on the service.
    base
        The version at the last pull or push; None if there was none.
    reason
        Why it is a conflict, or behind.
    parts
        The parts that change, such as ``body`` or ``translations.de``.
    stale, dropped
        The languages whose source text changes, and the languages that are missing in the folder.
    breaking
        What producers of the current version could be refused for.
    users
        The templates that use a changed partial.
    """

    template_id: str
    type: str
    action: Action
    version: str | None = None
    base: str | None = None
    reason: str = ""
    parts: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    breaking: list[Problem] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    only_line_endings: bool = False

    @property
    def is_write(self) -> bool:
        """Whether something is published."""
        return self.action in {Action.ADD, Action.CHANGE}

    def as_json(self) -> dict[str, Any]:
        """Return the step as a JSON object."""
        return {
            "template_id": self.template_id,
            "type": self.type,
            "action": str(self.action),
            "current_version": self.version,
            "pulled_version": self.base,
            "reason": self.reason or None,
            "parts": self.parts,
            "stale": self.stale,
            "dropped": self.dropped,
            "breaking": self.breaking,
            "users": self.users,
        }


def decide(
    local: Definition,
    remote: Remote | None,
    base: Base | None,
    *,
    overwrite: bool = False,
) -> Step:
    """Return the action of a push for a template, from digests alone.

    Parameters
    ----------
    local
        The template in the folder.
    remote
        The service's template; None if it does not exist.
    base
        The template as it was at the last pull or push.
    overwrite
        Publish over what the folder has not pulled.
    """
    digest = local.digest()
    step = Step(local.template_id, local.type, Action.UNCHANGED)
    step.base = None if base is None else base.version
    if remote is None:
        step.action = Action.ADD
        if base is not None and not overwrite:
            step.action = Action.CONFLICT
            step.reason = "was deleted on the service since the last pull: delete the folder, or "
            step.reason += "bring it back with template-service templates restore"
        return step
    step.version = remote.version
    if digest == remote.digest or (
        base is not None and base.digest == remote.digest and base.local == digest
    ):
        return step
    step.action = Action.CHANGE
    if overwrite or (base is not None and base.digest == remote.digest):
        return step
    if base is None:
        step.action = Action.CONFLICT
        step.reason = f"differs from {_named(remote.version)} on the service, which this folder "
        step.reason += "has never pulled: pull it, or pass --overwrite"
    elif base.local == digest:
        step.action = Action.BEHIND
        step.reason = f"{_since(base, remote)}: pull it"
    else:
        step.action = Action.CONFLICT
        step.reason = f"{_since(base, remote)}, and the folder has changed, too: pull it, or pass "
        step.reason += "--overwrite"
    return step


def compare(step: Step, local: Definition, remote: Definition | None) -> None:
    """Add the changes to a step that publishes; ``remote`` is the service's definition."""
    if remote is None:
        return
    step.parts = [name for name in FIELDS if getattr(local, name) != getattr(remote, name)]
    step.parts += [
        part for part, text in local.own._asdict().items() if text != getattr(remote.own, part)
    ]
    others = {
        "format": local.format != remote.format,
        "inline_css": local.inline_css != remote.inline_css,
        "variables": local.variables is not None and local.variables != remote.variables,
        "version_metadata": local.version_metadata != remote.version_metadata,
    }
    step.parts += [name for name, is_changed in others.items() if is_changed]
    every = sorted({*local.translations, *remote.translations})
    step.parts += [
        f"translations.{language}"
        for language in every
        if local.translations.get(language) != remote.translations.get(language)
    ]
    step.dropped = sorted(remote.translations.keys() - local.translations.keys())
    if local.own != remote.own:
        step.stale = [
            language
            for language, text in sorted(local.translations.items())
            if text == remote.translations.get(language)
        ]
    if local.variables is not None:
        changes = breaking_changes(remote.variables or [], local.variables)
        step.breaking = [
            {"path": each["path"], "type": each["type"], "message": each["message"]}
            for each in changes
        ]
    if local.type == "partial":
        step.breaking += removed_blocks(remote.own.body, local.own.body)
    step.only_line_endings = _normalized(local) == _normalized(remote)


def in_order(steps: Iterable[Step], groups: Sequence[Sequence[str]]) -> list[list[Step]]:
    """Return the steps that publish in groups, partials before the templates that use them."""
    by_id = {step.template_id: step for step in steps if step.is_write}
    ordered = [[by_id[name] for name in group if name in by_id] for group in groups]
    return [group for group in ordered if group]


def counts(steps: Iterable[Step]) -> Mapping[str, int]:
    """Return how many templates have each action."""
    found = dict.fromkeys(map(str, Action), 0)
    for step in steps:
        found[str(step.action)] += 1
    return found


def _normalized(definition: Definition) -> str:
    """Return the digest of a definition with its line breaks all written in one way."""
    translations = {language: _with_lf(text) for language, text in definition.translations.items()}
    own = _with_lf(definition.own)
    return replace(definition, own=own, translations=translations).digest()


def _with_lf(sources: Sources) -> Sources:
    changed = {
        part: text.replace("\r\n", "\n")
        for part, text in sources._asdict().items()
        if text is not None
    }
    return sources._replace(**changed)


def _since(base: Base, remote: Remote) -> str:
    """Return how a template has changed since the last pull or push."""
    if base.version == remote.version:
        return f"{_named(remote.version)} has changed since it was pulled"
    return f"{_named(remote.version)} is current, and {_named(base.version)} was when it was pulled"


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version '{version}'"
