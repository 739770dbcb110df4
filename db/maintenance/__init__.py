"""Maintenance of the tables, one operation per module; renders continue during each."""

from typing import Final

TABLES: Final = ("templates", "template_versions", "template_translations")
"""Templates, versions and translations: the tables with recommended autovacuum settings."""

EVERY_TABLE: Final = (*TABLES, "template_partials", "idempotency_records", "maintenance_runs")
"""All tables of this service."""
