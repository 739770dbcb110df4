"""The blocks of docs/operations.md about encrypted connections, on a server that begins without."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from db.cluster.private import PrivateCluster
from db.cluster.processes import wait_until
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.service_file import write_service_file
from tests.support.certificates import Authority
from tests.support.documents import Block, blocks
from worker.local.server import free_port

PASSWORD = "for-this-test-only"  # noqa: S105 - of a server that lives as long as the test


@pytest.fixture
def plain(programs: Programs, tmp_path: Path) -> Iterator[tuple[PrivateCluster, int]]:
    """Give a server without TLS, and its port of 127.0.0.1."""
    port = free_port()
    tmp_path.chmod(0o711)
    data = tmp_path / "data"
    cluster = PrivateCluster(
        programs,
        data,
        settings={
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "hba_file": str(data / "pg_hba.conf"),
        },
    )
    cluster.initialise()
    (data / "pg_hba.conf").write_text("local all all trust\n")
    with cluster:
        yield cluster, port


def test_the_documented_tls_setup_works(
    plain: tuple[PrivateCluster, int], programs: Programs, checkout: Path, tmp_path: Path
) -> None:
    """After them a connection with ``verify-full`` is encrypted, and a plain one is refused."""
    cluster, port = plain
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.sign("localhost", tmp_path)
    for path in (certificate, key):
        give(path, cluster.rights)
    places = {
        "/path/to/server.crt": str(certificate),
        "/path/to/server.key": str(key),
        "/path/to/root.crt": str(authority.root),
    }
    document = [
        block for block in blocks(checkout / "docs" / "operations.md") if block.role == "postgres15"
    ]
    assert [block.language for block in document] == ["sql", "text", "sh"]
    settings, rules, question = (_placed(block, places) for block in document)

    # "peer" would want the system's user of that name; and the lines count with the next reload.
    (cluster.data / "pg_hba.conf").write_text(rules.replace("peer", "trust"))
    with psycopg.connect(cluster.url(), port=port, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE service LOGIN PASSWORD '{PASSWORD}'")
        for statement in settings.strip().split(";\n"):
            connection.execute(statement.rstrip(";").encode())
    url = f"postgresql://service:{PASSWORD}@localhost:{port}/postgres"
    services = tmp_path / "pg_service.conf"
    write_service_file(services, {"service": url})
    environment = {
        "PATH": f"{programs.folder}:{os.defpath}",
        "PGSERVICEFILE": str(services),
        "PGSERVICE": "service",
    }

    def asked() -> subprocess.CompletedProcess[str]:
        command = ["/bin/sh", "-euc", question]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert wait_until(lambda: asked().returncode == 0, 20), asked().stderr
    assert asked().stdout == "t|TLSv1.3\n"
    parts = urlsplit(url)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(urlunsplit(parts._replace(query="sslmode=disable")))


def _placed(block: Block, places: dict[str, str]) -> str:
    text = block.text
    for name, place in places.items():
        text = text.replace(name, place)
    return text
