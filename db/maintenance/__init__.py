"""Maintenance of the tables, one verb a module; renders continue meanwhile."""

from typing import Final

TABLES: Final = ("templates", "template_versions", "template_translations")
"""The tables of the guide."""

EVERY_TABLE: Final = (*TABLES, "template_partials", "idempotency_records", "maintenance_runs")
