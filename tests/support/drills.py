"""A server that many drills share, where it does not matter that it is new."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from db.backup.drill import Clusters, drill_directory, new_cluster
from db.backup.policy import BackupPolicy
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.cluster.sandbox import sandbox_programs


@contextmanager
def shared_cluster(scratch: Path) -> Iterator[tuple[Clusters, PrivateCluster]]:
    """Yield what :func:`db.backup.drill.drill` takes as ``clusters``, and the server behind it."""
    policy = BackupPolicy(scratch=str(scratch))
    with (
        drill_directory(policy) as (folder, rights),
        sandbox_programs(Programs.chosen().folder, rights) as programs,
        new_cluster(Programs(programs), folder) as cluster,
    ):

        def clusters(_: Programs, __: Path) -> AbstractContextManager[PrivateCluster]:
            return nullcontext(cluster)

        yield clusters, cluster
