"""Differences between two versions of a template."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from db.queries import translations
from db.queries.translations import TextPair
from tasks.messages.differences import (
    Breaking,
    ChangedTranslation,
    DiffVersions,
    KeyChanges,
    OwnLanguage,
    SameTranslation,
    StateChange,
    TextChange,
    TranslationChanges,
    VariableChange,
    VariableChanges,
    VersionDifference,
)
from tasks.rendering.changes import breaking_changes
from tasks.rendering.variables import Declared
from tasks.services import views
from tasks.services.templates import existing
from tasks.services.versions import existing_version
from tasks.work import Work

# The time of a comparison grows with the product of the lines, and faster: more than a second for
# 2,000 lines with 2,000 of the worst kind. An answer has time for two of these.
MOST_LINES: Final = 2_000
MOST_PAIRS: Final = 2 * MOST_LINES * MOST_LINES
MOST_CHARACTERS: Final = 1_048_576


def difference(message: DiffVersions, work: Work) -> VersionDifference:
    """Return what changes from ``from_version`` to ``to_version``.

    Raises
    ------
    TemplateNotFound
        The template does not exist, or is soft-deleted.
    VersionNotFound
        One of the versions does not exist; the path of the problem says which.
    """
    session = work.session
    template = existing(work, message.template_id)
    one = existing_version(work, template, message.from_version, "from_version")
    other = existing_version(work, template, message.to_version, "to_version")
    states = translations.states(session, [one.id, other.id])
    default = work.configuration.default_language
    comparison = Comparison()
    return VersionDifference(
        template_id=message.template_id,
        from_version=one.version,
        to_version=other.version,
        language=OwnLanguage(
            from_=one.info.get("language", default), to=other.info.get("language", default)
        ),
        subject=comparison.text(one.subject, other.subject),
        body=comparison.text(one.body, other.body),
        text=comparison.text(one.text, other.text),
        preheader=comparison.text(one.preheader, other.preheader),
        variables=variables(one.variables, other.variables),
        metadata=keys(one.info, other.info),
        languages=languages(
            dict(states[one.id]),
            dict(states[other.id]),
            translations.differing(session, one.id, other.id),
            comparison,
        ),
        breaking=[
            Breaking.model_validate(problem)
            for problem in breaking_changes(one.variables, other.variables)
        ],
    )


class Comparison:
    """The texts of one answer: they are compared as long as that takes a bounded time and space.

    A diff is left out where one of the texts has more than ``MOST_LINES`` lines, and where with
    the diffs before it the answer would pass ``MOST_CHARACTERS``, the length of the texts, or
    ``MOST_PAIRS``, the product of the two texts' numbers of lines.
    """

    def __init__(self) -> None:
        self._pairs = MOST_PAIRS
        self._characters = MOST_CHARACTERS

    def text(self, before: str | None, after: str | None) -> TextChange:
        """Return what changes from ``before`` to ``after``."""
        if before == after:
            return TextChange(changed=False, diff=None)
        return TextChange(changed=True, diff=self._diff(before, after))

    def _diff(self, before: str | None, after: str | None) -> list[str] | None:
        # Not splitlines(): it would hide which end a line has, and whether the last one has any.
        one, other = ([] if text is None else text.split("\n") for text in (before, after))
        pairs = len(one) * len(other)
        characters = len(before or "") + len(after or "")
        if (
            max(len(one), len(other)) > MOST_LINES
            or pairs > self._pairs
            or characters > self._characters
        ):
            return None
        self._pairs -= pairs
        self._characters -= characters
        _, _, *lines = difflib.unified_diff(one, other, lineterm="")
        return lines


def variables(before: Sequence[Declared], after: Sequence[Declared]) -> VariableChanges:
    """Return what changes in the declared variables; their order does not matter."""
    one = {variable["name"]: variable for variable in before}
    other = {variable["name"]: variable for variable in after}
    return VariableChanges(
        added=[dict(variable) for name, variable in other.items() if name not in one],
        removed=[dict(variable) for name, variable in one.items() if name not in other],
        changed=[
            VariableChange(name=name, from_=dict(one[name]), to=dict(variable))
            for name, variable in other.items()
            if name in one and not _is_same(one[name], variable)
        ],
    )


def keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> KeyChanges:
    """Return which keys of a JSON object come, go, or change their value."""
    return KeyChanges(
        added=sorted(after.keys() - before.keys()),
        removed=sorted(before.keys() - after.keys()),
        changed=sorted(
            key for key in before.keys() & after.keys() if not _is_same(before[key], after[key])
        ),
    )


def languages(
    before: Mapping[str, bool],
    after: Mapping[str, bool],
    differing: Iterable[TextPair],
    comparison: Comparison,
) -> TranslationChanges:
    """Return what changes in the translations.

    Parameters
    ----------
    before, after
        The languages of each version in order, and whether each is stale.
    differing
        The texts of the languages that both versions have and that differ, in the same order.
    """
    states = {
        language: StateChange(
            from_=views.state(is_stale=before[language]), to=views.state(is_stale=after[language])
        )
        for language in before
        if language in after
    }
    changed = [
        ChangedTranslation(
            language=pair.language,
            state=states.pop(pair.language),
            subject=comparison.text(pair.from_subject, pair.to_subject),
            body=comparison.text(pair.from_body, pair.to_body),
            text=comparison.text(pair.from_text, pair.to_text),
            preheader=comparison.text(pair.from_preheader, pair.to_preheader),
        )
        for pair in differing
    ]
    return TranslationChanges(
        added=[language for language in after if language not in before],
        removed=[language for language in before if language not in after],
        changed=changed,
        unchanged=[
            SameTranslation(language=language, state=state) for language, state in states.items()
        ],
    )


def _is_same(one: object, other: object) -> bool:
    # In Python 1, 1.0 and true are equal; in JSON they are not.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
