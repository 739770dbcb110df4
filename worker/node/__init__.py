"""The worker's main process: what it does with a message between the broker and a pool process.

- :mod:`consumer` takes messages and keeps them through lost connections;
- :mod:`inbox` checks each before Celery sees it, :mod:`refusals` answers those that fail;
- :mod:`request` follows one to a pool process and back, :mod:`pool` reads the results;
- :mod:`shutdown` ends the process with its last task; :mod:`heartbeat` and :mod:`progress` tell
  that it works.

Inner names of Celery and kombu are used here, in :mod:`worker.transport`, :mod:`worker.rabbitmq`
and :mod:`worker.results` only, all listed in ``worker/private_names.txt``.
"""
