"""``maintenance.*``: the tasks that beat schedules, one for each job."""

from tasks.base import maintenance
from tasks.jobs import JOBS

TASKS = {job.name: maintenance(job) for job in JOBS}
