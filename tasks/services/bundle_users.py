"""Checks of the templates that use a bundle's changed partials."""

import time
from collections.abc import Collection
from typing import Any, Final

from db.queries import partials, translations, versions
from db.queries.translations import StoredText
from db.queries.versions import VersionRow
from tasks.errors import BreakingChange, Problem, RenderLimitExceeded, ServiceError, problem
from tasks.rendering.texts import Sources
from tasks.services.bundle_entries import Entry
from tasks.services.gate import Gate
from tasks.services.templates import existing
from tasks.work import Work

MOST_NAMED: Final = 5
"""Problems of one user that an answer lists."""


class Users:
    """Checks templates as if they were published again with the partials of a bundle.

    Parameters
    ----------
    work
        The work of the message, with all of the bundle written.
    deadline
        By ``time.monotonic()``, in seconds: what is not checked by then is reported as such.
    ids
        The templates of the bundle.
    """

    def __init__(self, work: Work, deadline: float, ids: Collection[str]) -> None:
        self._work = work
        self._deadline = deadline
        self._ids = ids
        self._found: dict[str, list[Problem] | None] = {}

    def check(self, entry: Entry, published: Collection[str], refused: Collection[str]) -> None:
        """Record which templates use a changed partial, and refuse changes that break them.

        ``published`` are the templates of this bundle that passed the gate with the partial,
        ``refused`` the templates with problems of their own, which come first.
        """
        connection = self._work.connection
        for user in partials.users(connection, entry.id):
            name = user.template_id
            known = name in published or name in refused
            found = [] if known else self._problems(name)
            entry.users.append(
                {
                    "template_id": name,
                    "in_bundle": name in self._ids,
                    "checked": found is not None,
                    "problems": (found or [])[:MOST_NAMED],
                }
            )
        new = entry.version
        if new is not None and not new.allow_breaking:
            self._refuse(entry)

    def _refuse(self, entry: Entry) -> None:
        broken = [user for user in entry.users if user["problems"]]
        if broken:
            # Its users break, and so do the renders of these.
            breaking = entry.published.breaking if entry.published is not None else []
            problems: list[Problem] = [
                problem(each.path, each.type, each.message) for each in breaking
            ]
            problems += [_broken(user) for user in broken]
            entry.refuse(BreakingChange.of(f"'{entry.id}' breaks templates that use it", problems))
        elif unchecked := [user for user in entry.users if not user["checked"]]:
            message = (
                f"{len(unchecked)} templates that use it could not be checked in time: send fewer "
                "templates, or allow_breaking"
            )
            entry.refuse(RenderLimitExceeded.at("", "limit", message))

    def _problems(self, template_id: str) -> list[Problem] | None:
        """Return the problems of a template; None if there is no time left to check it."""
        if template_id not in self._found:
            if time.monotonic() > self._deadline:
                return None
            self._found[template_id] = self._problems_of(template_id)
        return self._found[template_id]

    def _problems_of(self, template_id: str) -> list[Problem]:
        session = self._work.session
        template = existing(self._work, template_id)
        version = versions.find(session, template.id, None)
        if version is None:
            return []
        texts = translations.texts(session, version.id)
        mine, *others = [_rendered(version), *map(_rendered, texts)]
        sources = [source for each in (mine, *others) for source in each.given()]
        try:
            gate, candidates = Gate.of(self._work, template, sources, carried=len(others))
            candidate = candidates.own(mine, version.info)
            compiled = gate.compile(
                [
                    candidate,
                    *(
                        candidates.translation(
                            candidate, row.language_code, text, f"translations.{row.language_code}."
                        )
                        for row, text in zip(texts, others, strict=True)
                    ),
                ]
            )
            gate.compare(compiled[0], compiled[1:], version.variables)
            gate.try_out(compiled, version.variables)
        except ServiceError as error:
            return [each | {"code": str(error.args[0])} for each in error.details]
        return []


def _rendered(row: VersionRow | StoredText) -> Sources:
    """Return the sources of a stored text, with the body that is rendered."""
    return Sources.of(row)._replace(body=row.inlined_body or row.body)


def _broken(user: dict[str, Any]) -> Problem:
    name, first = user["template_id"], user["problems"][0]
    message = f"'{name}' uses it and would break: {first['path']}: {first['message']}"
    return problem("", "user_breaks", message)
