"""Targets that only a timeline has which a recovery has left."""

import shutil
from pathlib import Path

from db.recovery.policy import RecoveryPolicy
from tests.support.recovery import Server, recoverable


def swapped(server: Server, data: Path) -> None:
    """Replace the server's data directory by a restored one."""
    live = server.stack.postgres.data
    server.stack.postgres.stop()
    shutil.move(live, live.with_name("data.before"))
    shutil.move(data, live)
    server.stack.postgres.start()


def test_a_target_of_an_abandoned_timeline_is_refused_until_it_is_named(tmp_path: Path) -> None:
    """A time would silently be the older state in which the newest timeline began."""
    with recoverable(tmp_path) as server:
        server.json("base-backup")
        server.add(1)
        first = server.now()
        server.add(2)
        abandoned = server.now()
        server.add(8)
        server.json("restore-point", "the_end_of_one")
        for _ in range(3):
            server.json("check")
        beyond = server.run("SELECT pg_current_wal_lsn()::text")
        server.json("check")
        into = server.policy.directory.parent / "new"
        server.json("restore", "--to", first.isoformat(), "--into", str(into))
        swapped(server, into)
        between = server.now()
        server.add(4)
        second = server.now()
        server.add(8)
        server.json("restore-point", "on_two")

        def rows(target: str, *options: str) -> int:
            done = server.json("restore", "--to", target, *options, "--into", str(into))
            shutil.rmtree(into)
            return int(done["proof"]["tables"]["templates"])

        for target in (("--lsn", beyond), ("--restore-point", "the_end_of_one")):
            refused = server.call("restore", *target, "--into", str(into))
            assert f"{target[1]} is on timeline 1 only" in refused.stderr
            assert "--timeline 1" in refused.stderr
        for time in (abandoned, between):
            refused = server.call("restore", "--to", time.isoformat(), "--into", str(into))
            assert refused.exit_code == 1, refused.output
            assert "is on timeline 1 only" in refused.stderr
            assert "--timeline 1" in refused.stderr
        assert rows(abandoned.isoformat(), "--timeline", "1") == 3
        assert rows(abandoned.isoformat(), "--timeline", "2") == 1
        assert rows(first.isoformat()) == 1
        assert rows(second.isoformat()) == 5
        told = server.call("status")
        assert "timeline 2 (also of 1)" in told.stdout
        assert isinstance(server.policy, RecoveryPolicy)
