"""What docker-compose.yml starts Valkey with, on the Valkey of this machine."""

import os
import subprocess
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from db.cluster.processes import wait_until
from worker.local.server import free_port
from worker.local.valkey import program

NEVER = Retry(NoBackoff(), 0)
"""The client itself tries ten times, also with a password that is refused."""


@pytest.mark.parametrize("password", ["c29tZS1wYXNzd29yZA", 'with "quotes" and \\ and $HOME'])
def test_valkey_of_the_compose_file_requires_its_password_and_persists_data(
    checkout: Path, tmp_path: Path, password: str
) -> None:
    """The secret's password is required and on no command line; written data persist."""
    secret = tmp_path / "secret"
    secret.write_text(f"{password}\n")
    port = free_port(None)
    server = subprocess.Popen(
        ["/bin/sh", checkout / "docker" / "valkey", "--dir", tmp_path, "--port", str(port)],
        env={
            "PATH": f"{program().parent}:{os.defpath}",
            "BROKER_PASSWORD_FILE": str(secret),
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port, password=password, retry=NEVER) as client:
            assert wait_until(lambda: _answers(client), 20)
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with (
            redis.Redis(port=port, retry=NEVER) as unauthenticated,
            pytest.raises(redis.AuthenticationError),
        ):
            unauthenticated.ping()
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"valkey-server" in command
        assert password.encode() not in command
    finally:
        server.terminate()
        server.wait(20)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
