"""Recovery across settings that were raised after the base backup."""

from pathlib import Path

import psycopg

from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from tests.support.recovery import recoverable

_PREPARED = "SELECT gid FROM pg_prepared_xacts"


def test_a_recovery_applies_what_the_wal_demands(tmp_path: Path) -> None:
    """Prepared transactions and connections beyond the limits of the base backup.

    The restored cluster starts with what it needs, although its configuration is an older one.
    """
    with recoverable(tmp_path) as server:
        server.run("ALTER SYSTEM SET max_prepared_transactions = 0")
        # Of its time as a standby: a recovery would wait for it.
        server.run("ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
        server.stack.postgres.restart()
        server.json("base-backup")
        server.run("ALTER SYSTEM SET max_prepared_transactions = 5")
        settings = server.stack.postgres.settings
        server.stack.postgres.settings = {**settings, "max_connections": "230"}
        server.stack.postgres.restart()
        with psycopg.connect(server.stack.postgres.url) as connection:
            connection.execute("CREATE TABLE prepared (id int)")
            connection.execute("PREPARE TRANSACTION 'pending'")
        assert server.run(_PREPARED) == "pending"
        into = tmp_path / "restored"
        server.json("restore", "--latest", "--into", str(into))
    with (
        PrivateCluster(Programs.chosen(), into, settings={"archive_mode": "off"}) as cluster,
        psycopg.connect(cluster.url("template_service", "template_service")) as connection,
    ):
        assert connection.execute(_PREPARED).fetchall() == [("pending",)]
        assert connection.execute("SHOW max_connections").fetchall() == [("230",)]
