"""The recovery drill: recover to a random recorded moment in private, and compare all tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import SystemRandom
from time import monotonic
from typing import Final

import psycopg
from pydantic import TypeAdapter, ValidationError

from db.backup.databases import connected
from db.backup.drill import amcheck, drill_directory
from db.backup.policy import BackupPolicy
from db.backup.snapshot import set_text_format, table_facts
from db.bounds import Moment
from db.cluster.private import PrivateCluster
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.recovery import catalogue, figures
from db.recovery.figures import Figures
from db.recovery.object_path import replace
from db.recovery.pages import lsn_text
from db.recovery.plan import no_base_backup
from db.recovery.policy import RecoveryPolicy
from db.recovery.restore import Say, restore
from db.recovery.segments import Archive, leads_to
from db.recovery.target import Target
from db.recovery.verify import REMEDY, verify_recovery

Choose = Callable[[Sequence[Figures]], Figures]

_CHOICE: Final[Choose] = SystemRandom().choice
_TRIES: Final = 3
_SHOWN: Final = 5
# After these errors the drill did not happen: they say nothing about archive and base backups.
_NOT_OF_THE_ARCHIVE: Final = frozenset(
    {
        Kind.DISK_FULL,
        Kind.EXTRA_MISSING,
        Kind.NOT_DECRYPTABLE,
        Kind.NOT_REACHABLE,
        Kind.PROGRAMS_DO_NOT_FIT,
        Kind.PROGRAMS_MISSING,
        Kind.TARGET_UNREADABLE,
        Kind.TARGET_UNWRITABLE,
        "credentials_missing",
        "credentials_unreadable",
        "keys_unreadable",
        "no_figures",
    }
)
# A snapshot does not list the running transactions that are younger than all ended ones.
_COMMITTED_LATER: Final = """
SELECT count(*)
FROM (SELECT %s::pg_snapshot AS taken) AS given,
     generate_series(pg_snapshot_xmin(taken)::text::bigint,
                     pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) AS number
WHERE NOT pg_visible_in_snapshot(number::text::xid8, taken)
  AND pg_xact_status(number::text::xid8) = 'committed'
"""


@dataclass(frozen=True, slots=True)
class ProvedRecovery:
    """Result of a successful drill.

    Attributes
    ----------
    finished_at
        When it was proved.
    recovered_to, lsn
        The moment that was recovered, and its LSN.
    base
        Names of the base backups, the full one first.
    tables
        Rows of each table; numbers and contents are those recorded at that moment.
    is_amchecked
        Whether amcheck verified tables and indexes; not every server has it.
    segments, base_backups
        What was verified besides.
    seconds
        Duration of the drill.
    """

    finished_at: Moment
    recovered_to: Moment
    lsn: str
    base: tuple[str, ...]
    tables: dict[str, int]
    is_amchecked: bool
    segments: int
    base_backups: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """What is known of recovery drills.

    Attributes
    ----------
    proved
        The last successful one.
    failed_at, problem
        When one failed since, and why; both ``None`` after a success.
    """

    proved: ProvedRecovery | None = None
    failed_at: Moment | None = None
    problem: str | None = None


class _InexactError(Exception):
    """The server showed a moment that its WAL never had."""


_ADAPTER: Final = TypeAdapter(DrillRecord)


def drill_recovery(  # noqa: PLR0913 - options by name
    client: Client,
    policy: RecoveryPolicy,
    scratch: BackupPolicy,
    database: str,
    *,
    choose: Choose = _CHOICE,
    say: Say = lambda _: None,
) -> ProvedRecovery:
    """Verify all files, recover to a random recorded moment, compare, and store the result.

    Raises OperationError: an error of archive or base backups, which is stored, or of the drill.

    Parameters
    ----------
    client
        With the programs; it connects to no server but the private one.
    scratch
        With the temporary directory, which needs room for the data directory.
    database
        The database whose tables are compared.
    choose
        Chooses the moment.
    """
    started = monotonic()
    try:
        proved = _drill(client, policy, scratch, database, choose, say, started)
    except OperationError as error:
        if error.kind not in _NOT_OF_THE_ARCHIVE:
            known = read_record(policy)
            problem = f"{error.kind}: {error.message}"
            _write(policy, DrillRecord(known.proved, datetime.now(UTC), problem))
        raise
    _write(policy, DrillRecord(proved))
    return proved


def read_record(policy: RecoveryPolicy) -> DrillRecord:
    """Return the record of drills; empty if the file is missing or unreadable."""
    try:
        return _ADAPTER.validate_json(policy.storage.drill.read_bytes())
    except (OSError, ValidationError):
        return DrillRecord()


def _drill(  # noqa: PLR0913, PLR0917 - the body of drill_recovery
    client: Client,
    policy: RecoveryPolicy,
    scratch: BackupPolicy,
    database: str,
    choose: Choose,
    say: Say,
    started: float,
) -> ProvedRecovery:
    backups = catalogue.read(policy.storage.base)
    if not backups:
        raise no_base_backup(policy)
    say("verifying archived WAL and base backups")
    verified = verify_recovery(client.programs, policy, scratch.scratch)
    archive = Archive.of(policy, backups[-1].segment_bytes, backups[-1].system)
    known = [each for each in figures.read(policy) if each.database == database]
    candidates = figures.recoverable(known, archive, backups)
    if not candidates and not verified.problems:
        raise OperationError(
            "no_figures",
            f"no figures of database {database} are in the archived WAL: {policy.storage.figures}",
            "record some: template-service pitr figures, then template-service pitr check",
        )
    proved = None
    for _ in range(_TRIES):
        if not candidates or proved is not None:
            break
        chosen = choose(candidates)
        candidates = [each for each in candidates if each is not chosen]
        try:
            proved = _recover(client, policy, scratch, archive, chosen, say)
        except OperationError:
            # Of what is damaged, whatever the error is: a truncated file cannot be decrypted.
            if not verified.problems:
                raise
    if verified.problems:
        messages = [problem.message for problem in verified.problems]
        more = f" (and {len(messages) - _SHOWN} more)" if len(messages) > _SHOWN else ""
        raise OperationError("archive_damaged", "; ".join(messages[:_SHOWN]) + more, REMEDY)
    if proved is None:
        raise OperationError(
            "no_figures",
            "the recorded moments were between two transactions that ended at the same time",
            "repeat the drill",
        )
    restored, lsn, chosen, is_amchecked = proved
    return ProvedRecovery(
        finished_at=datetime.now(UTC),
        recovered_to=chosen.at,
        lsn=lsn,
        base=restored,
        tables={name: facts.rows for name, facts in chosen.tables.items()},
        is_amchecked=is_amchecked,
        segments=verified.segments,
        base_backups=verified.base_backups,
        seconds=round(monotonic() - started, 3),
    )


def _recover(  # noqa: PLR0913, PLR0917 - one try of _drill
    client: Client,
    policy: RecoveryPolicy,
    scratch: BackupPolicy,
    archive: Archive,
    chosen: Figures,
    say: Say,
) -> tuple[tuple[str, ...], str, Figures, bool] | None:
    """Recover to the moment of figures and compare; return ``None`` if WAL has no such moment."""
    lsn = figures.moment(client.programs, archive, chosen)
    if lsn is None:
        return None
    newest = archive.newest_timeline
    follows = leads_to(archive.history, chosen.timeline, lsn, newest)
    is_amchecked = False

    def inspect(cluster: PrivateCluster, user: str, database: str) -> None:
        nonlocal is_amchecked
        say("comparing all tables")
        url = cluster.url(database, user)
        _compare(url, chosen)
        is_amchecked = amcheck(Client(client.programs, url, cluster.rights), jobs=1)

    say(f"recovering to {chosen.at.isoformat()} ({lsn_text(lsn)})")
    with drill_directory(scratch) as (folder, _):
        try:
            restored = restore(
                client.programs,
                policy,
                chosen.database,
                Target(lsn=lsn),
                folder / "data",
                timeline=newest if follows else chosen.timeline,
                say=say,
                inspect=inspect,
            )
        except _InexactError:
            return None
    return restored.base, lsn_text(lsn), chosen, is_amchecked


def _compare(url: str, chosen: Figures) -> None:
    """Compare all tables with figures.

    Raises OperationError: ``recovery_differs``.
    """
    with connected(url) as connection:
        ((committed,),) = connection.execute(_COMMITTED_LATER, [chosen.snapshot])
        if committed:
            raise _InexactError
        set_text_format(connection)
        different = []
        for name, wanted in chosen.tables.items():
            try:
                found = table_facts(connection, name)
            except psycopg.errors.UndefinedTable:
                different.append(f"{name}: missing")
                continue
            if found.rows != wanted.rows:
                different.append(f"{name}: {found.rows} rows instead of {wanted.rows}")
            elif found.digest != wanted.digest:
                different.append(f"{name}: contents differ")
    if different:
        raise OperationError(
            "recovery_differs",
            f"the recovery to {chosen.at.isoformat()} differs from the figures recorded then: "
            + "; ".join(different),
            "do not rely on point-in-time recovery: take a dump (template-service backup create) "
            "and a new base backup (template-service pitr base-backup --full)",
        )


def _write(policy: RecoveryPolicy, record: DrillRecord) -> None:
    replace(policy.storage.drill, _ADAPTER.dump_json(record, indent=2))
