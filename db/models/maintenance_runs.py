"""Runs of maintenance, with due times, states and results."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, CreatedAt, Time


class MaintenanceRun(Base):
    """A run of a maintenance task; ``due_at`` is null if an operator started it.

    ``state`` is ``passed`` for a due time before the schedule was first read, ``sent`` for a
    message that no worker has started, ``running``, ``done``, ``skipped`` if the same task was
    running, or ``failed``, with the cause in ``error``.
    """

    __tablename__ = "maintenance_runs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('passed', 'sent', 'running', 'done', 'skipped', 'failed')", name="state"
        ),
        Index("idx_maintenance_runs_task_created", "task", "created_at"),
    )

    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    due_at: Mapped[Time | None]
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Time | None]
    finished_at: Mapped[Time | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(String(100))
