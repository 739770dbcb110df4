"""Have the server archive a segment, and find its restore point in the archive."""

from dataclasses import dataclass
from time import monotonic
from typing import Final
from uuid import uuid4

from sqlalchemy import Engine

from db.backup.encryption import identities_for
from db.cluster.programs import Programs
from db.errors import Kind, OperationError
from db.recovery import server
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive, parsed_lsn
from db.recovery.setup import require_archived
from db.recovery.transactions import has_restore_point
from db.recovery.verify_wal import segment_problem

_REMEDY: Final = "see the server's log, repair the archive, then run: template-service pitr verify"


@dataclass(frozen=True, slots=True)
class CheckedArchive:
    """A segment that was archived as a test.

    Attributes
    ----------
    segment, lsn
        Its name, and the restore point that was written into it.
    directory
        The archive.
    seconds
        From the request until it was there.
    """

    segment: str
    lsn: str
    directory: str
    seconds: float


def check_archive(engine: Engine, programs: Programs, policy: RecoveryPolicy) -> CheckedArchive:
    """Write a restore point, have its segment archived, and read it back from the archive.

    Raises OperationError: ``archiving_off``, ``is_standby``, ``archive_failed``;
    ``archive_elsewhere``: the segment is not in the directory; ``wal_damaged``: it is not what the
    server has written; ``not_decryptable``: it is encrypted, and no identity is configured.
    """
    started = monotonic()
    facts = server.server_facts(engine)
    name = f"template-service pitr check {uuid4().hex[:12]}"
    lsn, segment = server.archive_now(engine, name)
    seconds = round(monotonic() - started, 3)
    require_archived(policy, segment)
    archive = Archive.of(policy, facts.segment_bytes, facts.system)
    identities_for(archive.path(segment).name, policy.identity_file)
    sentence = archive.strangers.get(segment)
    if sentence is None and (problem := segment_problem(archive, segment)) is not None:
        sentence = problem.message
    if sentence is not None:
        raise OperationError(Kind.WAL_DAMAGED, f"{sentence} in {policy.storage.wal}", _REMEDY)
    # The function returns the end of the record that it has written.
    begin = parsed_lsn(lsn) // facts.segment_bytes * facts.segment_bytes
    if not has_restore_point(programs, archive, [segment], name, begin):
        raise OperationError(
            Kind.WAL_DAMAGED,
            f"segment {segment} in {archive.folder} lacks the restore point written into it",
            _REMEDY,
        )
    return CheckedArchive(segment, lsn, str(policy.storage.wal), seconds)
