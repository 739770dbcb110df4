"""A worker that cannot start says which setting or server it was, and ends with a status."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from worker.local import LocalStack
from worker.local.server import free_port

SECRET = "pass-word-that-nobody-may-see"  # noqa: S105 - of no server


def start(
    checkout: Path, stack: LocalStack, changes: Mapping[str, str | None]
) -> subprocess.CompletedProcess[str]:
    """Start a worker with changed settings and wait for its end."""
    environment: dict[str, str] = stack.environment()
    for name, value in changes.items():
        if value is None:
            environment.pop(name)
        else:
            environment[name] = value
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "--pool=solo"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_wrong_settings_are_reported_without_values(checkout: Path, servers: LocalStack) -> None:
    """All wrong ones at once, with what was expected, and without their values.

    tests/unit/test_settings.py has what is wrong with a setting.
    """
    wrong: dict[str, str | None] = {
        "DATABASE_URL": f"mysql://u:{SECRET}@127.0.0.1/x",
        "CELERY_BROKER_URL": "nonsense",
        "CELERY_RESULT_BACKEND": None,
        "TEMPLATE_SERVICE_DB_POOL_SIZE": "many",
        "TEMPLATE_SERVICE_SCHEDULE_VACUUM": "daily",
    }
    ended = start(checkout, servers, wrong)
    assert ended.returncode != 0
    for words in (*wrong, "postgresql", "rediss", "integer", "CELERY_RESULT_BACKEND: is not set"):
        assert words in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_unavailable_servers_are_reported(checkout: Path, servers: LocalStack) -> None:
    """Database, broker and result backend, all in one answer."""
    away = f"127.0.0.1:{free_port()}"
    changes: dict[str, str | None] = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@{away}/x",
        "CELERY_BROKER_URL": f"redis://:{SECRET}@{away}/0",
        "CELERY_RESULT_BACKEND": f"redis://:{SECRET}@{away}/1",
    }
    ended = start(checkout, servers, changes)
    assert ended.returncode != 0
    for name in changes:
        assert f"{name}: " in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_password_is_reported_and_not_shown(checkout: Path, servers: LocalStack) -> None:
    """The setting of each server that refuses it is named."""
    passwords = (servers.postgres.password, servers.valkey.password)
    changes: dict[str, str | None] = {}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        address = servers.addresses()[name]
        for password in passwords:
            address = address.replace(password, SECRET)
        changes[name] = address
    ended = start(checkout, servers, changes)
    assert ended.returncode != 0
    for name in changes:
        assert f"{name}: " in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_a_database_without_tables_is_reported_with_the_command(
    checkout: Path, servers: LocalStack
) -> None:
    """The answer is the command."""
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    try:
        ended = start(checkout, servers, {"DATABASE_URL": servers.postgres.url_of("empty")})
    finally:
        with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
            connection.execute("DROP DATABASE empty")
    assert ended.returncode != 0
    assert "alembic upgrade head" in ended.stderr
