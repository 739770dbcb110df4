"""Queries of the versions. They take a session and never commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Numeric, bindparam, case, cast, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Session, load_only

from db.models import Base, TemplateVersion
from db.queries.direct import Direct

# A number may also be a date and time. The column has 50 characters: a name of 50 digits is
# ignored, since the next number could be longer.
_WHOLE_NUMBER = r"^[0-9]{1,49}$"

_TABLE = Base.metadata.tables[TemplateVersion.__tablename__]
_versions = _TABLE.c
_others = _TABLE.alias().c
_JSON = {"variables", "info"}
"""Parameters of type jsonb."""

_COLUMNS = (
    _versions.id,
    _versions.version,
    _versions.subject,
    _versions.body,
    _versions.text,
    _versions.preheader,
    _versions.inline_css,
    _versions.inlined_body,
    _versions.variables,
    _versions.metadata,
    _versions.is_current,
    _versions.created_at,
    _versions.format,
    _versions.is_draft,
    _versions.activated_at,
    _versions.activate_at,
    _versions.schedule_error,
)
_OF_TEMPLATE = select(*_COLUMNS).where(_versions.template_id == bindparam("template"))
_CURRENT = Direct(_OF_TEMPLATE.where(_versions.is_current))
_NAMED = Direct(_OF_TEMPLATE.where(_versions.version == bindparam("name")))
# substring() is null for a name that is not a number, so that the cast never fails.
_NUMBER = cast(func.substring(_versions.version, _WHOLE_NUMBER), Numeric)
_NEXT_NUMBER = (
    select(func.coalesce(func.max(_NUMBER), 0) + 1)
    .where(_versions.template_id == bindparam("template_id"))
    .scalar_subquery()
)
# The snapshot of the statement is older than its row.
_UPCOMING = (
    select(
        func.json_agg(
            aggregate_order_by(
                func.json_build_object(
                    "version", _others.version, "activate_at", _others.activate_at
                ),
                _others.activate_at,
                _others.version,
            )
        )
    )
    .where(_others.template_id == bindparam("template_id"), _others.activate_at.is_not(None))
    .scalar_subquery()
)
_ADD = Direct(
    insert(_TABLE)
    .values(
        template_id=bindparam("template_id"),
        version=func.coalesce(bindparam("name"), cast(_NEXT_NUMBER, _versions.version.type)),
        subject=bindparam("subject"),
        body=bindparam("body"),
        text=bindparam("text"),
        preheader=bindparam("preheader"),
        inline_css=bindparam("inline_css"),
        inlined_body=bindparam("inlined_body"),
        variables=bindparam("variables"),
        metadata=bindparam("info"),
        is_current=bindparam("is_current"),
        format=bindparam("format"),
        is_draft=~bindparam("is_current", type_=Boolean),
        activated_at=case((bindparam("is_current", type_=Boolean), func.clock_timestamp())),
        activate_at=bindparam("activate_at"),
        activate_expected=bindparam("activate_expected"),
    )
    .on_conflict_do_nothing(index_elements=[_versions.template_id, _versions.version])
    .returning(_versions.id, _versions.version, _UPCOMING)
)
_UNSET_CURRENT = Direct(
    update(_TABLE)
    .where(_versions.template_id == bindparam("template"), _versions.is_current)
    .values(is_current=False)
)
_ONE = update(_TABLE).where(_versions.id == bindparam("version_id"))
_NO_SCHEDULE = {"activate_at": None, "activate_expected": None, "schedule_error": None}
_SET_CURRENT = _ONE.values(
    is_current=True, is_draft=False, activated_at=func.clock_timestamp(), **_NO_SCHEDULE
)
_SCHEDULE = _ONE.values(
    activate_at=bindparam("at"), activate_expected=bindparam("expected"), schedule_error=None
)
_UNSCHEDULE = _ONE.values(
    activate_at=None, activate_expected=None, schedule_error=bindparam("error")
)
_DELETE = delete(_TABLE).where(_versions.id == bindparam("version_id"))
_NEWEST_DRAFT = (
    _OF_TEMPLATE.where(_versions.is_draft)
    .order_by(_versions.created_at.desc(), _versions.id.desc())
    .limit(1)
)


_EACH_CURRENT = select(_versions.template_id, *_COLUMNS).where(
    _versions.template_id.in_(bindparam("templates", expanding=True)), _versions.is_current
)
# octet_length() reads the size of a stored text, and not the text.
_SIZES = text("""
SELECT v.template_id,
       octet_length(v.body) + coalesce(octet_length(v.text), 0) + coalesce(
           (
               SELECT sum(octet_length(x.body) + coalesce(octet_length(x.text), 0))
               FROM template_translations AS x
               WHERE x.template_version_id = v.id
           ),
           0
       )::bigint
FROM template_versions AS v
WHERE v.template_id = ANY(:templates) AND v.is_current
""")


_DUE = text("""
SELECT t.template_id, v.id, v.activate_at
FROM template_versions AS v
JOIN templates AS t ON t.id = v.template_id
WHERE v.activate_at <= clock_timestamp()
ORDER BY v.activate_at, t.template_id
LIMIT :limit
""")
_SCHEDULED = select(_versions.version, _versions.activate_at, _versions.activate_expected).where(
    _versions.id == bindparam("version_id")
)


class VersionRow(NamedTuple):
    """A version; immutable except for ``is_current`` and what belongs to it, and a draft."""

    id: UUID
    version: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    inline_css: bool
    inlined_body: str | None
    variables: list[dict[str, Any]]
    info: dict[str, Any]
    is_current: bool
    created_at: datetime
    format: str | None
    is_draft: bool
    activated_at: datetime | None
    activate_at: datetime | None
    schedule_error: str | None

    @property
    def is_rendered_otherwise(self) -> bool:
        """Whether bodies are rendered in another form than they were sent in."""
        return self.inline_css or self.format is not None


class Upcoming(NamedTuple):
    """A version that will be current."""

    version: str
    activate_at: datetime


class Added(NamedTuple):
    """A version that was inserted.

    ``upcoming`` has the template's other versions with a scheduled activation, the earliest first.
    """

    id: UUID
    version: str
    upcoming: Sequence[Upcoming]


def find(session: Session, template: UUID, version: str | None) -> VersionRow | None:
    """Return the version of that name, or with None the current one."""
    statement = _CURRENT if version is None else _NAMED
    row = statement.execute(session, template=template, name=version).fetchone()
    return None if row is None else VersionRow._make(row)


def current_of(session: Session, templates: Sequence[UUID]) -> dict[UUID, VersionRow]:
    """Return the current version of each template that has one."""
    rows = session.execute(_EACH_CURRENT, {"templates": list(templates)})
    return {row[0]: VersionRow._make(row[1:]) for row in rows}


def sizes(session: Session, templates: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many bytes the texts of each template's current version have, in all languages."""
    return {row[0]: row[1] for row in session.execute(_SIZES, {"templates": list(templates)})}


def add(
    session: Session,
    *,
    template_id: UUID,
    name: str | None,
    is_current: bool,
    **columns: Any,  # noqa: ANN401 - column values
) -> Added | None:
    """Insert a version; return it, or None when its name is taken.

    The caller holds the template's row lock. Without a name the version gets the next whole number;
    with ``is_current`` it replaces the current version.
    """
    if is_current:
        _UNSET_CURRENT.execute(session, template=template_id)
    stored = {
        column: Jsonb(value) if column in _JSON else value for column, value in columns.items()
    }
    row = _ADD.execute(
        session, template_id=template_id, name=name, is_current=is_current, **stored
    ).fetchone()
    if row is None:
        return None
    version, added, others = row
    upcoming = [
        Upcoming(each["version"], datetime.fromisoformat(each["activate_at"]))
        for each in others or ()
    ]
    return Added(version, added, upcoming)


def make_current(session: Session, template: UUID, version: UUID) -> None:
    """Make a version the current one; the caller holds the template's row lock."""
    # Two statements: a unique index is checked row by row, so that a single UPDATE could set the
    # new current version before it unsets the old one.
    _UNSET_CURRENT.execute(session, template=template)
    session.execute(_SET_CURRENT, {"version_id": version})


def newest_draft(session: Session, template: UUID) -> VersionRow | None:
    """Return the draft that was published last, or None."""
    row = session.execute(_NEWEST_DRAFT, {"template": template}).one_or_none()
    return None if row is None else VersionRow._make(row)


def remove(session: Session, version: UUID) -> None:
    """Delete a version with its translations."""
    session.execute(_DELETE, {"version_id": version})


def schedule(session: Session, version: UUID, at: datetime, expected: str | None) -> None:
    """Set when a version becomes current; ``expected`` is as in the model."""
    session.execute(_SCHEDULE, {"version_id": version, "at": at, "expected": expected})


def unschedule(session: Session, version: UUID, error: str | None = None) -> None:
    """Forget when a version becomes current; ``error`` is the code of what prevented it."""
    session.execute(_UNSCHEDULE, {"version_id": version, "error": error})


class Due(NamedTuple):
    """A version whose time to become current has come."""

    template_id: str
    id: UUID
    activate_at: datetime


class Scheduled(NamedTuple):
    """The schedule of a version; ``expected`` is as in the model."""

    version: str
    activate_at: datetime | None
    expected: str | None


def due(session: Session, limit: int) -> list[Due]:
    """Return versions whose time has come, the longest overdue first."""
    return [Due(*row) for row in session.execute(_DUE, {"limit": limit})]


def scheduled(session: Session, version: UUID) -> Scheduled | None:
    """Return the schedule of a version, None if the version is gone."""
    row = session.execute(_SCHEDULED, {"version_id": version}).one_or_none()
    return None if row is None else Scheduled(*row)


def newest_first(session: Session, template: UUID) -> Sequence[TemplateVersion]:
    """Return the versions of a template without their sources."""
    columns = (
        TemplateVersion.id,
        TemplateVersion.version,
        TemplateVersion.is_current,
        TemplateVersion.is_draft,
        TemplateVersion.activated_at,
        TemplateVersion.activate_at,
        TemplateVersion.schedule_error,
        TemplateVersion.created_at,
    )
    return session.scalars(
        select(TemplateVersion)
        .options(load_only(*columns))
        .where(TemplateVersion.template_id == template)
        .order_by(TemplateVersion.created_at.desc(), TemplateVersion.id.desc())
    ).all()
