"""Checks of a message's envelope (Celery's protocol 2), before kombu or Celery decode it.

:func:`read` takes the raw bytes of a Redis queue entry, :func:`check` the parts that AMQP delivers.
Both return an :class:`Envelope` that kombu and Celery accept without an error, or a
:class:`Refusal`, which :mod:`worker.node.inbox` answers and makes a dead letter. They are a model
of what kombu 5.7 and Celery 5.7 read of a message, and import neither;
`tests/unit/test_envelope_model.py` runs the real ones on what the model accepts. The protocol:
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from worker.envelope.callbacks import callback_problems
from worker.envelope.commands import command_problem, is_clock, reply_address
from worker.envelope.messages import Envelope, Parts, check, oversize, read
from worker.envelope.refusals import Refusal
from worker.envelope.rules import Rules
from worker.envelope.shown import shown

__all__ = [
    "Envelope",
    "Parts",
    "Refusal",
    "Rules",
    "callback_problems",
    "check",
    "command_problem",
    "is_clock",
    "oversize",
    "read",
    "reply_address",
    "shown",
]
