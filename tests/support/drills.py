"""A server that many drills share, where it does not matter that it is new."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from db.backup.drill import Clusters, drill_directory, new_cluster
from db.backup.policy import BackupPolicy
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs


@contextmanager
def shared_cluster(scratch: Path) -> Iterator[tuple[Clusters, PrivateCluster]]:
    """Yield what :func:`db.backup.drill.drill` takes as ``clusters``, and the server behind it."""
    policy = BackupPolicy(scratch=str(scratch))
    with (
        drill_directory(policy) as (folder, _),
        new_cluster(Programs.chosen(), folder) as cluster,
    ):

        def clusters(_: Programs, __: Path) -> AbstractContextManager[PrivateCluster]:
            return nullcontext(cluster)

        yield clusters, cluster
