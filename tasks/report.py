"""``maintenance.report``: the figures that a monitor asks for."""

from tasks.base import maintenance
from tasks.messages.maintenance import Maintain
from tasks.messages.report import Report
from tasks.runtime import Runtime
from tasks.services import metrics
from tasks.services.report import report as figures


@maintenance("maintenance.report", Maintain)
def report(message: Maintain, process: Runtime) -> Report:
    """Return the figures of this moment; a dry run writes no file of metrics."""
    result = figures(process.configuration, process.broker.backlog())
    path = process.configuration.operations.metrics_file
    if path and not message.dry_run:
        metrics.write(result, path)
    return result
