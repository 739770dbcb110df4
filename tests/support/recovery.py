"""A server whose WAL is archived, and a history to go back in."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString
from urllib.request import Request, urlopen

import psycopg
import pyrage  # type: ignore[import-untyped]
from click.testing import CliRunner, Result

from db.cluster.processes import wait_until
from db.recovery.policy import RecoveryPolicy
from tests.support.stacks import small_stack
from worker.cli import main
from worker.local import LocalStack

_ADD: LiteralString = """
INSERT INTO templates (template_id, name, type)
SELECT 't' || gen_random_uuid(), 'n', 'sms' FROM generate_series(1, %(count)s)
"""


class Server:
    """A stack without workers, and the commands of an operator on it."""

    def __init__(self, stack: LocalStack, policy: RecoveryPolicy) -> None:
        self.stack = stack
        self.policy = policy

    def call(self, *arguments: str, policy: RecoveryPolicy | None = None) -> Result:
        """Run a command of ``template-service pitr``, whatever its exit status."""
        return self.run_command("pitr", *arguments, policy=policy)

    def run_command(self, *arguments: str, policy: RecoveryPolicy | None = None) -> Result:
        """Run any command of ``template-service``."""
        environment = self.stack.addresses() | {
            f"TEMPLATE_SERVICE_RECOVERY_{name.upper()}": str(value)
            for name, value in asdict(policy or self.policy).items()
        }
        return CliRunner(env=environment).invoke(main, arguments)

    def json(self, *arguments: str, policy: RecoveryPolicy | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return what a command that must succeed prints as JSON."""
        done = self.call(*arguments, "--json", policy=policy)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def run(self, statement: LiteralString, **parameters: Any) -> Any:  # noqa: ANN401 - a column's value
        """Run one statement, commit, and return the first column of the first row."""
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def add(self, count: int) -> None:
        """Write some templates."""
        self.run(_ADD, count=count)

    def now(self) -> datetime:
        """Return a time with nothing written at it, by the server's clock."""
        moment: datetime = self.run("SELECT clock_timestamp()")
        wait_until(lambda: bool(self.run("SELECT clock_timestamp() > %(at)s", at=moment)), 10)
        return moment

    def set_up(self) -> None:
        """Have WAL archived."""
        self.json("setup", "--yes")
        self.stack.postgres.restart()
        assert self.json("setup", "--yes")["archived"]


@dataclass(frozen=True, slots=True)
class History:
    """What happened on a server, with the rows of ``templates`` at each moment.

    Attributes
    ----------
    full, incremental
        Names of the base backups.
    point
        A restore point between the two: 15 rows.
    between
        A time between the two: 22 rows.
    after
        A time after both: 25 rows.
    deletion
        The transaction that deleted four of those 25 then; it has been archived.
    """

    server: Server
    full: str
    incremental: str
    point: str
    between: datetime
    after: datetime
    deletion: int

    def copy(self, directory: Path) -> RecoveryPolicy:
        """Return a copy of archive and base backups that a test may damage."""
        return linked(self.server.policy, directory)


def linked(policy: RecoveryPolicy, directory: Path) -> RecoveryPolicy:
    """Return a copy of archive and base backups that a test may damage."""
    # A damage is done to a new file, so that hard links are copies enough.
    shutil.copytree(
        policy.directory,
        directory,
        copy_function=lambda source, target: Path(target).hardlink_to(source),
    )
    return RecoveryPolicy(directory)


@contextmanager
def recoverable(directory: Path, **options: Any) -> Iterator[Server]:  # noqa: ANN401 - the policy's
    """Yield a server whose WAL is archived."""
    with small_stack(directory / "local", workers=0) as stack:
        policy = RecoveryPolicy(directory / "the archive's \\ $HOME" / "recovery", **options)
        server = Server(stack, policy)
        server.policy.directory.parent.mkdir(mode=0o711)
        server.set_up()
        yield server


@contextmanager
def lived(directory: Path, **options: Any) -> Iterator[History]:  # noqa: ANN401 - the policy's
    """Yield a server on which something has happened."""
    with recoverable(directory, **options) as server:
        server.add(10)
        full = server.json("base-backup")["backup"]["name"]
        server.add(5)
        server.json("restore-point", "before it")
        server.add(7)
        between = server.now()
        incremental = server.json("base-backup")["backup"]["name"]
        server.add(3)
        after = server.now()
        deletion = server.run(
            "WITH gone AS (DELETE FROM templates WHERE id IN (SELECT id FROM templates LIMIT 4))"
            " SELECT pg_current_xact_id()::text::bigint"
        )
        server.json("restore-point", "after it")
        yield History(server, full, incremental, "before it", between, after, deletion)


def age_files(folder: Path) -> dict[str, Any]:
    """Write the keys of an archive; return the settings that name them."""
    identity = pyrage.x25519.Identity.generate()
    recipients, key = folder / "recipients", folder / "identity"
    recipients.write_text(f"# of the operators\n{identity.to_public()}\n")
    key.write_text(f"{identity}\n")
    key.chmod(0o600)
    return {"recipients_file": str(recipients), "identity_file": str(key)}


@contextmanager
def object_storage(bucket: str, credentials: Path) -> Iterator[None]:
    """Run a server of S3 with a bucket, and write the file with its address and credentials."""
    # Half a second, which no other test needs.
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    storage = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    storage.start()
    try:
        host, port = storage.get_host_and_port()
        url = f"http://{host}:{port}"
        with urlopen(Request(f"{url}/{bucket}", method="PUT"), timeout=60):  # noqa: S310 - HTTP
            pass
        credentials.write_text(
            f"# of the server\nAWS_ENDPOINT_URL={url}\nAWS_ALLOW_HTTP=true\nAWS_REGION=us-east-1\n"
            "AWS_ACCESS_KEY_ID=server\nAWS_SECRET_ACCESS_KEY=secret\n"
        )
        yield
    finally:
        storage.stop()


def replaced(path: Path, content: bytes) -> None:
    """Give a file other content, and leave those alone that are hard links to it."""
    status = path.stat()
    path.unlink()
    path.write_bytes(content)
    path.chmod(status.st_mode)


def flipped(path: Path, place: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    replaced(path, bytes(content))
