"""``maintenance.report``: the figures that a monitor asks for."""

from tasks import backlog
from tasks.base import upkeep
from tasks.messages.maintenance import Maintain
from tasks.messages.report import Report
from tasks.runtime import Configuration
from tasks.services import metrics
from tasks.services.report import report as figures


@upkeep("maintenance.report", Maintain)
def report(message: Maintain, configuration: Configuration) -> Report:
    """Return the figures of this moment; a dry run writes no file of metrics."""
    found = figures(configuration, backlog.ask())
    if configuration.operations.metrics_file and not message.dry_run:
        metrics.write(found, configuration.operations.metrics_file)
    return found
