"""``maintenance.activate_scheduled``: versions become current at their time, once.

Each has a transaction of its own, which claims it: under the template's lock its schedule is read
again, and forgotten together with the activation. So two runs at once do nothing twice, and a run
that is killed leaves the rest to the next.
"""

import logging
from datetime import UTC, datetime
from typing import Final

from db.queries import versions
from db.queries.versions import Due
from tasks.errors import ServiceError, TemplateNotFound, VersionConflict
from tasks.events import log_event
from tasks.messages.maintenance import ActivatedVersions, Maintain
from tasks.runs import Run
from tasks.services.expectations import expected_of, meets
from tasks.services.templates import locked_template
from tasks.services.versions import existing_version, make_current
from tasks.work import Work

logger = logging.getLogger(__name__)

MOST: Final = 1000
"""Versions of one run; the next begins a minute later."""


def activate_scheduled(message: Maintain, run: Run) -> ActivatedVersions:
    """Make versions current whose time has come."""
    with run.process.reading() as session:
        due = versions.due(session, MOST)
    if message.dry_run:
        return ActivatedVersions(dry_run=True, activated=len(due), failed=0)
    done = [_activate(each, run) for each in due]
    return ActivatedVersions(dry_run=False, activated=done.count(True), failed=done.count(False))


def _activate(due: Due, run: Run) -> bool | None:
    """Make a version current; return whether it could be, None if another run has done it."""
    with run.process.writing() as session:
        work = Work(session, run.process)
        try:
            template = locked_template(work, due.template_id, deleted=True)
        except TemplateNotFound:
            return None  # purged since
        schedule = versions.scheduled(session, due.id)
        if schedule is None or schedule.activate_at != due.activate_at:
            return None
        savepoint = session.begin_nested()
        error: ServiceError | None = None
        try:
            if template.deleted_at is not None:
                raise TemplateNotFound.named(due.template_id)
            current = versions.find(session, template.id, None)
            expected = expected_of(schedule.expected)
            if expected is not None and not meets(expected, current):
                name = current.version if current is not None else None
                raise VersionConflict.between(due.template_id, expected, name)
            make_current(work, template, existing_version(work, template, schedule.version))
            savepoint.commit()
        except ServiceError as refused:
            savepoint.rollback()
            error = refused
            versions.unschedule(session, due.id, str(refused.args[0]))
        session.commit()
    _report(due, schedule.version, error)
    return error is None


def _report(due: Due, version: str, error: ServiceError | None) -> None:
    seconds = (datetime.now(UTC) - due.activate_at).total_seconds()
    if error is None:
        log_event(
            logger,
            "version_activated",
            template_id=due.template_id,
            version=version,
            late_seconds=seconds,
        )
    else:
        log_event(
            logger,
            "activation_failed",
            level=logging.ERROR,
            template_id=due.template_id,
            version=version,
            late_seconds=seconds,
            error=str(error.args[0]),
        )
