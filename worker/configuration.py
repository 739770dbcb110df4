"""What the settings mean for the tasks and for the commands of operators."""

from pathlib import Path

from db.backup.policy import BackupPolicy
from db.recovery.policy import RecoveryPolicy
from db.session import Database
from tasks.runtime import Configuration, Housekeeping, Operations, RetryPolicy
from worker.settings import Settings


def configuration(settings: Settings) -> Configuration:
    """Return what the tasks need of the settings."""
    return Configuration(
        database=Database(
            url=settings.database_url.get_secret_value(),
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_max_overflow,
            pool_timeout=settings.db_pool_timeout,
            pool_recycle=settings.db_pool_recycle,
            pool_pre_ping=settings.db_pool_pre_ping,
            connect_timeout=settings.db_connect_timeout,
            statement_timeout=settings.db_statement_timeout,
        ),
        limits=settings.limits,
        default_language=settings.default_language,
        retry=RetryPolicy(
            most=settings.max_retries,
            backoff=settings.retry_backoff,
            longest=settings.retry_backoff_max,
        ),
        housekeeping=Housekeeping(
            purge_after_days=settings.purge_after_days,
            keep_versions=settings.keep_versions,
            keep_records_days=settings.keep_records_days,
            batch=settings.maintenance_batch,
        ),
        operations=Operations(
            url=settings.maintenance_database_url.get_secret_value(),
            programs=settings.postgres_programs,
            metrics_file=settings.metrics_file,
            backup=BackupPolicy(
                target=settings.backup_target,
                recipients_file=settings.backup_recipients_file,
                identity_file=settings.backup_identity_file,
                keep_days=settings.backup_keep_days,
                keep_verified=settings.backup_keep_verified,
                scratch=settings.scratch_directory,
            ),
            recovery=RecoveryPolicy(
                directory=Path(settings.recovery_directory),
                keep=settings.recovery_keep,
                full_days=settings.recovery_full_days,
            ),
        ),
    )
