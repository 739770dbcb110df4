"""The tables, one module each."""

from db.models.base import Base
from db.models.idempotency_records import IdempotencyRecord
from db.models.maintenance_runs import MaintenanceRun
from db.models.template_partials import TemplatePartial
from db.models.template_translations import TemplateTranslation
from db.models.template_versions import TemplateVersion
from db.models.templates import Template

__all__ = [
    "Base",
    "IdempotencyRecord",
    "MaintenanceRun",
    "Template",
    "TemplatePartial",
    "TemplateTranslation",
    "TemplateVersion",
]
