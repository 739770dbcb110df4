"""``psql`` without a password on its command line: a service file, for each documented shell."""

import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from psycopg import sql

from db.cluster.programs import Programs
from db.service_file import service_variables, write_service_file
from tests.support.sample_databases import SampleDatabase, copy_of, sample_database
from worker.local import LocalStack

CHECKOUT = Path(__file__).resolve().parents[2]


def asked(lines: list[str], *arguments: str) -> str:
    """Return what psql prints in a shell that has run these lines."""
    command = "\n".join([*lines, f"exec psql -X {shlex.join(arguments)}"])
    done = subprocess.run(
        ["/bin/sh", "-euc", command],
        env={"PATH": f"{Programs.chosen().folder}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_shell_of_a_stack_reaches_all_its_databases(servers: LocalStack) -> None:
    """By default that of the service; its file is for this user only."""
    lines = [f". {servers.environment_file}"]
    assert asked(lines, "-Atc", "SELECT current_database()") == "template_service"
    assert asked(lines, "-d", "postgres", "-Atc", "SELECT current_database()") == "postgres"
    assert asked(lines, "service=template_service", "-Atc", "SELECT 1") == "1"
    path = servers.directory / "pg_service.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ['a b"c', "d=e%f", "g'h"])
def test_any_name_of_a_database_is_written(servers: LocalStack, tmp_path: Path, name: str) -> None:
    """As the address has it."""
    with sample_database(servers, filled=False) as source, copy_of(source) as made:
        made.at("postgres").run(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(made.name), sql.Identifier(name)
            )
        )
        address = SampleDatabase(made.url.rpartition("/")[0] + "/" + _quoted(name)).url
        path = tmp_path / "services"
        write_service_file(path, {"x": address})
        found = asked(service_variables(path, "x"), "-Atc", "SELECT current_database()")
        made.at("postgres").run(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(name), sql.Identifier(made.name)
            )
        )
    assert found == name


def test_no_documented_command_line_has_a_password() -> None:
    """Everyone on the machine reads those in the list of processes."""
    found = [
        f"{path.relative_to(CHECKOUT)}: {line}"
        for folder in ("bench", "db", "docs", "tasks", "worker")
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in {".md", ".py", ".sh"}
        for line in path.read_text().splitlines()
        if re.search(r"(psql|pg_\w+|vacuumdb).*\$\{?(DATABASE_URL|TEMPLATE_SERVICE_MAINT)", line)
    ]
    assert found == []
    assert 'psql "$DATABASE_URL' not in (CHECKOUT / "README.md").read_text()


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
