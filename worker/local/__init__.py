"""PostgreSQL, Valkey and the service's processes on one machine, without installing anything."""

from db.cluster.processes import LocalServerError
from worker.local.postgres import LocalPostgres, programs
from worker.local.stack import LocalStack, local_directory
from worker.local.valkey import LocalValkey

__all__ = [
    "LocalPostgres",
    "LocalServerError",
    "LocalStack",
    "LocalValkey",
    "local_directory",
    "programs",
]
