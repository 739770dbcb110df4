"""``template-service db roles``: the roles of the database."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import click

from db.roles.names import DEFAULT_PREFIX, LOGINS, Kind, Names
from worker.cli.base import Group
from worker.cli.operator import operator_configuration
from worker.cli.options import dry_run_option, json_option, yes_option
from worker.cli.output import confirm, print_json, print_result, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.roles.apply import Applied

VARIABLES: Final[dict[Kind, str]] = {
    "app": "DATABASE_URL",
    "maintenance": "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
}
_prefix_option = click.option(
    "--prefix",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="Prefix of the roles' names; must be unique per server.",
)


@click.group("roles", cls=Group, example="db roles apply --output secrets\ndb roles status")
def roles() -> None:
    """Manage the database's roles: worker, maintenance, read-only and owner.

    These commands connect with DATABASE_URL, as alembic does.
    """


def _password_files(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> Mapping[Kind, Path]:
    files: dict[Kind, Path] = {}
    for value in values:
        name, _equals, file = value.partition("=")
        kinds = [kind for kind in LOGINS if kind == name]
        if not kinds or not file:
            raise click.BadParameter(f"expected ROLE=FILE, ROLE being one of {', '.join(LOGINS)}")
        files[kinds[0]] = Path(file)
    return files


@roles.command("apply", example="db roles apply --output secrets\ndb roles apply --dry-run")
@_prefix_option
@click.option(
    "--password-file",
    "password_files",
    metavar="ROLE=FILE",
    multiple=True,
    callback=_password_files,
    help="File with a role's password; ROLE is app, maintenance or readonly.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for files of generated passwords; existing files are used.",
)
@click.option(
    "--rotate", is_flag=True, help="Generate new passwords, also for roles that have one."
)
@click.option(
    "--close-others",
    is_flag=True,
    help="Revoke access to the server's other databases from PUBLIC.",
)
@dry_run_option
@json_option
def apply_roles(  # noqa: PLR0913 - the options of the command
    *,
    prefix: str,
    password_files: Mapping[Kind, Path],
    output: Path | None,
    rotate: bool,
    close_others: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Create the roles, or update their attributes and grants.

    DATABASE_URL must name a superuser, who keeps running the migrations. Run this again after a
    migration that adds tables. With --dry-run the SQL is printed, without passwords.
    """
    # --close-others is an option and no default: a server's other databases may be other people's.
    from db.roles.apply import apply, preview

    url = operator_configuration().database.url
    names = Names(prefix)
    if dry_run:
        planned = preview(url, names, rotate=rotate, close_others=close_others)
        print_result({"dry_run": True, "sql": planned}, planned, json_=json_)
        return
    applied = apply(
        url,
        names,
        given=password_files,
        output=output,
        rotate=rotate,
        close_others=close_others,
    )
    addresses = {name: _address(url, names.of(kind)) for kind, name in VARIABLES.items()}
    environment = None if output is None else _environment(output, applied, url)
    if json_:
        print_json({**asdict(applied), "addresses": addresses, "environment_file": environment})
    else:
        _print(applied, addresses, environment)


@roles.command("status", example="db roles status")
@_prefix_option
@json_option
def show_status(*, prefix: str, json_: bool) -> None:
    """Show the roles and their problems. Exits 1 if there are problems."""
    from db.roles.status import status

    current = status(operator_configuration().database.url, Names(prefix))
    if json_:
        print_json(asdict(current))
    else:
        print_table(current.roles, empty="no roles yet; run: template-service db roles apply")
        for sentence in current.findings:
            print(f"- {sentence}")
    if current.findings:
        raise SystemExit(1)


@roles.command("drop", example="db roles drop --prefix old_service")
@_prefix_option
@yes_option
@json_option
def drop_roles(*, prefix: str, yes: bool, json_: bool) -> None:
    """Drop the roles; the user of DATABASE_URL becomes the owner of the tables.

    Open sessions of the roles continue until they disconnect.
    """
    # Roles outlive their database, and one that owns tables cannot be dropped by hand in one step.
    from db.roles.drop import drop

    names = Names(prefix)
    confirm(f"Drop the roles {', '.join(names.all())}?", yes=yes)
    dropped = drop(operator_configuration().database.url, names)
    sentence = f"Dropped: {', '.join(dropped) or 'none (no such roles)'}"
    print_result({"dropped": dropped}, sentence, json_=json_)


def _print(applied: Applied, addresses: Mapping[str, str], environment: Path | None) -> None:
    print_table(
        [
            {
                "role": role.kind,
                "name": role.name,
                "password": role.password,
                "file": role.file,
            }
            for role in applied.roles
        ]
    )
    for name, address in addresses.items():
        print(f"{name}={address}")
    if environment is not None:
        print(f"The same with passwords, for a worker's shell: . {environment}")
    print(f"Migrations and this command keep using {applied.user}.")
    if applied.open_databases:
        print(
            f"Every role can still connect to: {', '.join(applied.open_databases)}. "
            "To prevent that, pass --close-others"
        )


def _environment(output: Path, applied: Applied, url: str) -> Path | None:
    """Write a worker's environment variables, if the passwords are known; return the file."""
    from db import service_file
    from db.cluster.processes import write_private
    from db.roles import passwords

    lines = []
    services = {}
    for role in applied.roles:
        if role.kind in VARIABLES:
            file = role.file or output / role.name
            if not file.exists():
                return None
            address = _address(url, role.name, passwords.read(file))
            lines.append(f"export {VARIABLES[role.kind]}={shlex.quote(address)}")
            services[role.name] = address
    path = output / "env"
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = output / service_file.NAME
    service_file.write_service_file(file, services)
    # The first is the application's, as DATABASE_URL is.
    lines += service_file.service_variables(file, next(iter(services)))
    write_private(path, "".join(f"{line}\n" for line in lines))
    return path


def _address(url: str, user: str, password: str = "") -> str:
    """Return ``url`` as another user, with the password if one is given."""
    from db.addresses import libpq_url

    parts = urlsplit(libpq_url(url))
    hosts = parts.netloc.rpartition("@")[2]
    secret = f":{quote(password, safe='')}" if password else ""
    query = [item for item in parse_qsl(parts.query) if item[0] not in {"user", "password"}]
    return urlunsplit(
        parts._replace(
            netloc=f"{user}{secret}@{hosts}", query=urlencode(query, safe="/:,", quote_via=quote)
        )
    )
