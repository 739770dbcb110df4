"""Users of a partial that has it in a style or a script, where no value of a partial may be."""

from collections.abc import Sequence

from db.queries import partials, translations, versions
from db.queries.templates import TemplateRow
from db.queries.versions import VersionRow
from tasks.errors import Problem, TemplateSyntax, problem
from tasks.rendering.checks.code_partials import layouts_of, unsafe_blocks, unsafe_includes
from tasks.rendering.html.contexts import blocks_in_code
from tasks.rendering.outputs import is_html
from tasks.rendering.partials import partials_of
from tasks.rendering.tags import Kind, tags
from tasks.services import graph
from tasks.services.templates import existing
from tasks.work import Work


def bodies_of(work: Work, version: VersionRow) -> list[str]:
    """Return the bodies of a version, its own first."""
    texts = translations.texts(work.session, version.id)
    return [version.body, *(text.body for text in texts)]


def require_safe_users(
    work: Work, partial: TemplateRow, bodies: Sequence[str], current: VersionRow | None
) -> None:
    """Make sure that new bodies of a partial bring no value into a style or script of its users.

    The users passed the gate with the ``current`` version, so they are read only if the new bodies
    have a placeholder, a partial or a block in code where that one has none.

    Raises
    ------
    TemplateSyntax
        Naming the users and what to do.
    """
    if _gains_nothing(bodies, bodies_of(work, current) if current is not None else []):
        return
    problems = [
        each
        for user in partials.users(work.connection, partial.template_id)
        if is_html(user.type) or user.type == "partial"
        for each in _problems(work, user.template_id, partial.template_id, bodies)
    ]
    if problems:
        message = f"'{partial.template_id}' is in a style or a script of templates that use it"
        raise TemplateSyntax.of(message, problems)


def _gains_nothing(bodies: Sequence[str], before: Sequence[str]) -> bool:
    return (
        (_prints(before) or not _prints(bodies))
        and partials_of(bodies) <= partials_of(before)
        and _blocks_in_code(bodies) <= _blocks_in_code(before)
    )


def _prints(bodies: Sequence[str]) -> bool:
    return any(tag.kind is Kind.PRINT for body in bodies for tag in tags(body))


def _blocks_in_code(bodies: Sequence[str]) -> set[str]:
    return {name for body in bodies for name in blocks_in_code(body)}


def _problems(work: Work, user: str, partial: str, bodies: Sequence[str]) -> list[Problem]:
    """Return a problem for each body of a user's current version that would get a value."""
    template = existing(work, user)
    version = versions.find(work.session, template.id, None)
    if version is None:
        return []
    sources = bodies_of(work, version)
    library = graph.library(work, [*sources, *bodies])
    found: dict[str, None] = {}
    for body in bodies:

        def body_of(name: str, body: str = body) -> str | None:
            if name == partial:
                return body
            return library.body(name) if name in library else None

        for source in sources:
            unsafe = [
                *unsafe_includes(source, body_of),
                *unsafe_blocks(source, layouts_of(source, body_of)),
            ]
            found |= dict.fromkeys(each.message for each in unsafe)
    return [
        problem("body", "unsafe_placeholder", f"'{user}' uses it: {message}") for message in found
    ]
