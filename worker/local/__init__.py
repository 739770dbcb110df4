"""PostgreSQL, Valkey and the service's processes on one machine, without installing anything."""

from worker.local.postgres import LocalPostgres, programs
from worker.local.processes import LocalServerError
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
