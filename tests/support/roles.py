"""The roles of a database, made as an operator makes them."""

import shlex
from pathlib import Path

from click.testing import CliRunner, Result

from worker.cli.roles import roles


def command(url: str, *arguments: str) -> Result:
    """Run ``template-service db roles ...`` on the database at ``url``."""
    return CliRunner().invoke(roles, arguments, env={"DATABASE_URL": url}, catch_exceptions=False)


def applied(url: str, folder: Path, *options: str) -> dict[str, str]:
    """Make the roles; return the variables of a worker that uses them."""
    done = command(url, "apply", "--output", str(folder), *options)
    assert done.exit_code == 0, done.output
    lines = (folder / "env").read_text().splitlines()
    exports = [shlex.split(line.removeprefix("export "))[0] for line in lines]
    return dict(export.split("=", 1) for export in exports)
