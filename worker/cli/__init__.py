"""``template-service``: one command line for operators."""

import io
import os
import sys

import click

from worker.cli.base import Group

COMMANDS = {
    "demo": "worker.cli.demo:demo",
    "up": "worker.cli.stack:up",
    "status": "worker.cli.stack:status",
    "down": "worker.cli.stack:down",
    "backup": "worker.cli.backup:backup",
    "pitr": "worker.cli.pitr:pitr",
    "replica": "worker.cli.replica:replica",
    "db": "worker.cli.database:database",
    "maintenance": "worker.cli.maintenance:maintenance",
    "dead-letters": "worker.cli.dead_letters:dead_letters",
    "contract": "worker.cli.contract:contract",
    "templates": "worker.cli.templates:templates",
}


@click.group(
    cls=Group,
    lazy=COMMANDS,
    example="up --detach\nstatus\nbackup create --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="template-service")
def main() -> None:
    """Store, version, translate and render notification templates."""
    # It is for psql. libpq would complete an address in DATABASE_URL with its port and password.
    os.environ.pop("PGSERVICE", None)
    # Texts of templates are UTF-8 in files and pipes, whatever the locale; other names stay bytes.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
