"""The dependency graph of partials, kept consistent while templates change."""

from collections.abc import Iterable
from dataclasses import dataclass

from db.queries import partials
from db.queries.partials import User
from db.queries.templates import TemplateRow
from db.queries.versions import VersionRow
from tasks.errors import TemplateInUse, TemplateSyntax, TooLarge
from tasks.rendering.partials import cycle_through, depth, partials_of
from tasks.services.partials import Library
from tasks.work import Lookup, Work


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a template in the dependency graph of partials.

    ``template_id`` is None for a preview; ``height`` is the length of the longest chain of
    templates that use it.
    """

    template_id: str | None
    height: int
    limit: int

    def require_room(self, below: int, path: str) -> None:
        """Refuse more levels of partials below the template than the limit allows.

        Raises
        ------
        TooLarge
            With those above it they are too many; ``path`` is the place in the message.
        """
        size = self.height + below
        if size > self.limit:
            message = f"partials are nested {size} deep, the limit is {self.limit}"
            raise TooLarge.at(path, "too_large", message)


def library(work: Work | Lookup, sources: Iterable[str | None]) -> Library:
    """Return the partials that sources use, directly or through other partials."""
    names = partials_of(sources)
    loaded = partials.named(work.connection, names) if names else []
    return Library(work.connection, loaded, work.configuration.default_language)


def place(work: Work, template: TemplateRow) -> Place:
    """Return the position of a template in the graph."""
    return Place(
        template.template_id,
        height=max((user.most_steps for user in _users(work, template)), default=0),
        limit=work.configuration.limits.partial_depth,
    )


def store_uses(work: Work, version: VersionRow) -> None:
    """Store which partials a version uses in all of its languages, replacing what was stored."""
    sources = [*_own_sources(version), *partials.clear_uses(work.connection, version.id)]
    partials.add_uses(work.connection, version.id, partials_of(sources))


def require_unused(work: Work, template: TemplateRow) -> None:
    """Make sure that no current version uses a template.

    Raises
    ------
    TemplateInUse
        Naming the templates that do.
    """
    if current := users(work, template):
        raise TemplateInUse.by(template.template_id, current)


def users(work: Work, template: TemplateRow) -> list[str]:
    """Return the templates whose current versions include or extend a template."""
    return [user.template_id for user in _users(work, template) if user.fewest_steps == 1]


def use_again(work: Work, template: TemplateRow, version: VersionRow) -> None:
    """Make sure that a version that was published some time ago can be rendered now.

    What it uses is stored again: a partial may have been purged, and another have its id now.

    Raises
    ------
    TemplateNotFound, TemplateInactive, TemplateSyntax, TooLarge
        As :func:`require_usable` does.
    """
    require_usable(work, template, version)
    store_uses(work, version)


def require_usable(work: Work, template: TemplateRow, version: VersionRow) -> None:
    """Make sure that a version can be rendered with the partials that there are.

    Raises
    ------
    TemplateNotFound, TemplateInactive
        A partial that it uses is gone.
    TemplateSyntax
        Partials would use themselves.
    TooLarge
        Partials would be nested too deeply.
    """
    sources = _sources(work, version)
    names = partials_of(sources)
    loaded = library(work, sources)
    if (problem := loaded.missing(names)) is not None:
        raise problem
    where = place(work, template)
    cycle = cycle_through(template.template_id, {**loaded.uses, template.template_id: list(names)})
    if cycle is not None:
        message = f"a partial cannot use itself: {' → '.join(cycle)}"
        raise TemplateSyntax.at("version", "partial_cycle", message)
    where.require_room(depth(names, loaded.uses), "version")


def _sources(work: Work, version: VersionRow) -> list[str | None]:
    """Return the sources of a version's texts that may use partials."""
    return [*_own_sources(version), *partials.texts_with_partials(work.connection, version.id)]


def _own_sources(version: VersionRow) -> list[str | None]:
    return [version.subject, version.body, version.text, version.preheader]


def _users(work: Work, template: TemplateRow) -> list[User]:
    if template.type != "partial":
        return []
    return partials.users(work.connection, template.template_id)
