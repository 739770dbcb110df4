"""A service that keeps templates in memory and answers as the real one does.

It checks conditions and digests, and no source: the publish gate has tests of its own. Tests of
authoring use it.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from db.errors import OperationError
from tasks.rendering.digests import template_digest, version_digest
from worker.authoring.definition import Definition, of_entry
from worker.producer import Refusal


class Service:
    """Templates by id, each as ``template.export`` shows it.

    Attributes
    ----------
    received
        The tasks of all messages, in order.
    before
        Called before each message, to interfere.
    """

    def __init__(self, *definitions: Definition) -> None:
        self.templates: dict[str, dict[str, Any]] = {}
        self.received: list[tuple[str, Mapping[str, Any]]] = []
        self.before: Callable[[str, Mapping[str, Any]], None] = lambda *_: None
        for each in definitions:
            self.publish(each)

    def publish(self, definition: Definition) -> None:
        """Publish a definition, as another producer does."""
        self._store(definition.entry())

    def definition(self, template_id: str) -> Definition | None:
        """Return what the service has of a template."""
        return of_entry(self.templates[template_id])

    def version(self, template_id: str) -> str:
        """Return the name of the current version of a template."""
        return str(self.templates[template_id]["current_version"])

    def call(self, task: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a message."""
        self.before(task, keywords)
        self.received.append((task, copy.deepcopy(dict(keywords))))
        if task == "template.export":
            return self._export(keywords)
        if task == "template.get":
            return {"used_by": self._used_by(keywords["template_id"])}
        assert task == "bundle.apply"
        return self._apply(keywords["templates"], dry_run=keywords["dry_run"])

    def stream_calls(
        self, task: str, messages: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any] | Exception]]:
        """Answer messages one after the other."""
        for key, keywords in messages.items():
            try:
                yield key, self.call(task, keywords)
            except Refusal as refusal:
                yield key, refusal

    def _export(self, keywords: Mapping[str, Any]) -> dict[str, Any]:
        names = keywords.get("template_ids")
        found = [
            each
            for name, each in sorted(self.templates.items())
            if (names is None or name in names) and name > keywords.get("after", "")
        ]
        page = found[: keywords["limit"]]
        rest = len(found) > len(page)
        return {"templates": page, "next": page[-1]["template_id"] if rest else None}

    def _used_by(self, template_id: str) -> list[dict[str, Any]]:
        return [
            {"template_id": name}
            for name, each in self.templates.items()
            if f'"{template_id}"' in each["version"]["body"]
        ]

    def _apply(self, entries: list[dict[str, Any]], *, dry_run: bool) -> dict[str, Any]:
        problems = [
            problem | {"template_id": entry["template_id"]}
            for index, entry in enumerate(entries)
            for problem in self._problems(f"templates[{index}]", entry)
        ]
        if dry_run:
            names = {each["template_id"] for each in entries}
            own = [
                {"template_id": name, "problems": [p for p in problems if p["template_id"] == name]}
                for name in sorted(names)
            ]
            return {"dry_run": True, "templates": own}
        if problems:
            raise Refusal("bundle_refused", "refused", problems)  # type: ignore[arg-type]
        for entry in entries:
            self._store(entry)
        return {
            "dry_run": False,
            "templates": [
                {
                    "template_id": entry["template_id"],
                    "version": self.version(entry["template_id"]),
                    "digest": self.templates[entry["template_id"]]["digest"],
                }
                for entry in entries
            ],
        }

    def _problems(self, path: str, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        known = self.templates.get(entry["template_id"])
        current = 0 if known is None else known["current_version"]
        expected = entry.get("expected_version")
        if known is not None and known["digest"] == _digest(entry):
            return
        if expected is not None and expected != current:
            message = (
                f"expected '{expected}', current is '{current}': "
                "read the template again, then resend"
            )
            yield {
                "path": f"{path}.expected_version",
                "type": "conflict",
                "code": "version_conflict",
                "message": message,
            }
        if "{{ nam }}" in entry["version"]["body"]:
            yield {
                "path": f"{path}.version.body",
                "type": "undeclared",
                "code": "placeholder_mismatch",
                "message": "placeholder 'nam' is not among the declared variables",
                "line": 1,
                "column": 7,
            }

    def _store(self, entry: Mapping[str, Any]) -> None:
        name = entry["template_id"]
        known = self.templates.get(name)
        digest = _digest(entry)
        if known is not None and known["digest"] == digest:
            return
        version = str(int(known["current_version"]) + 1) if known is not None else "1"
        stored: dict[str, Any] = copy.deepcopy(dict(entry))
        stored["version"]["variables"] = stored["version"]["variables"] or []
        self.templates[name] = stored | {"current_version": version, "digest": digest}


def _digest(entry: Mapping[str, Any]) -> str:
    return template_digest(entry, version_digest(entry["version"]))


def away(*_: object) -> None:
    """Answer nothing, as a broker that has disappeared."""
    raise OperationError("broker_away", "the broker does not answer", "retry")
