"""PostgreSQL, Valkey and the service's processes on one machine, without installing anything."""

from worker.local.postgres import LocalPostgres
from worker.local.stack import LocalStack
from worker.local.valkey import LocalValkey

__all__ = ["LocalPostgres", "LocalStack", "LocalValkey"]
