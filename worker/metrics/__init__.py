"""Metrics and health of a worker's main process and of beat, over HTTP.

- :mod:`prometheus_counts` counts messages in the main process, from what pool processes report;
- :mod:`sampled` reads broker and database in threads, so that a scrape waits for neither;
- :mod:`exposition` turns both into metrics of Prometheus;
- :mod:`health` knows whether the process works, :mod:`server` answers requests, and :mod:`start`
  starts it in a worker and in beat.
"""
