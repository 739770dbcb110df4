"""The order in which a bundle is written: partials before the templates that use them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import psycopg

from db.queries import partials
from tasks.errors import TemplateSyntax
from tasks.rendering.partials import partials_of
from tasks.rendering.texts import Sources
from tasks.services.bundle_entries import Entry

if TYPE_CHECKING:
    from db.queries.translations import StoredText
    from tasks.messages.versions import NewVersion, Text


def ordered(
    entries: Sequence[Entry], connection: psycopg.Connection
) -> list[tuple[Entry, frozenset[str]]]:
    """Return templates with all partials that they use, each after its own partials.

    Templates whose partials would use themselves are refused and left out.
    """
    by_id = {entry.id: entry for entry in entries}
    new = {entry.id: _uses(entry) for entry in entries if entry.version is not None}
    names = {name for used in new.values() for name in used} | (by_id.keys() - new.keys())
    stored = partials.named(connection, names) if names else []
    uses = {partial.template_id: frozenset(partial.uses) for partial in stored} | new
    order: list[tuple[Entry, frozenset[str]]] = []
    closures: dict[str, frozenset[str]] = {}
    for entry in entries:
        _visit(entry.id, uses, closures, order, by_id, ())
    return order


def _visit(  # noqa: PLR0913, PLR0917 - the state of a walk
    name: str,
    uses: Mapping[str, frozenset[str]],
    closures: dict[str, frozenset[str]],
    order: list[tuple[Entry, frozenset[str]]],
    by_id: Mapping[str, Entry],
    above: tuple[str, ...],
) -> None:
    if name in closures:
        return
    if name in above:
        cycle = [*above[above.index(name) :], name]
        for each in set(cycle) & by_id.keys():
            message = f"a partial cannot use itself: {' → '.join(cycle)}"
            if not by_id[each].problems:
                by_id[each].refuse(TemplateSyntax.at("body", "partial_cycle", message))
        return
    used = uses.get(name, frozenset())
    for each in sorted(used):
        _visit(each, uses, closures, order, by_id, (*above, name))
    closures[name] = used.union(*(closures.get(each, frozenset()) for each in used))
    if name in by_id and not by_id[name].problems:
        order.append((by_id[name], closures[name]))


def _uses(entry: Entry) -> frozenset[str]:
    new = entry.version
    if new is None:
        return frozenset()
    texts: list[NewVersion | Text | StoredText] = [new, *new.translations.values()]
    if new.carry_translations:
        texts += entry.texts
    return frozenset(partials_of(source for text in texts for source in Sources.of(text)))
