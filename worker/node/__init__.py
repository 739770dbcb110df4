"""A worker's main process: it passes messages from the broker to pool processes.

- :mod:`consumer` receives messages, and keeps them if the connection is lost;
- :mod:`inbox` checks each before Celery sees it, :mod:`refusals` answers and dead-letters those
  that fail;
- :mod:`remote_control` obeys an operator's commands;
- :mod:`request` follows one to a pool process and back, :mod:`pool` reads the results;
- :mod:`shutdown` ends the process after its last task; :mod:`heartbeat` and :mod:`progress` are
  its health check.

Inner names of Celery and kombu are used here, in :mod:`worker.transport`, :mod:`worker.rabbitmq`
and :mod:`worker.results` only, all listed in ``worker/private_names.txt``.
"""
