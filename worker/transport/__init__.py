"""Safe fetching on Redis and Valkey: the transport of ``redis://``, ``rediss://``, ``sentinel://``.

At every moment, every message is in exactly one place on the server:

1. on the list of its queue and priority, where a producer has put it;
2. in the hash of the consumer that holds it (``unacked:held:CONSUMER``), from the moment it leaves
   the list until it is done;
3. in the sorted set of delayed messages (``unacked:scheduled``), until its ETA;
4. among the dead letters.

Invariants, which hold because each move is one Lua script:

- *Atomic moves.* A message is recorded as held by the same script that removes it from its list. A
  crash of a process, a connection or the server cannot fall between the two.
- *One holder.* A consumer's name is used by one process only. Its tags are valid in its own hash
  only, so that the late acknowledgement of a dead consumer cannot affect its successor.
- *Held while alive.* A thread renews the lease of the process (``unacked:consumers``) whatever the
  main thread does. A live consumer's messages are never redelivered, however long they take.
- *Redelivered when dead.* Any consumer sweeps those whose lease has ended: their messages return to
  their lists, to be taken next. No consumer is swept right after an outage, see
  :class:`worker.transport.holder.Lease`.
- *Unchanged bytes.* A message is put back, delayed or dead-lettered byte for byte.
- *Own tags.* A producer's ``delivery_tag`` is ignored.

Nothing decodes a message before :attr:`Channel.gate` has seen its bytes.
"""

from worker.transport.channel import Channel
from worker.transport.held import Bounds, Taken
from worker.transport.holders import keep_in_hand, leave_all, put_back_unknown, release_done
from worker.transport.transports import ALIASES, SentinelTransport, Transport, register

__all__ = [
    "ALIASES",
    "Bounds",
    "Channel",
    "SentinelTransport",
    "Taken",
    "Transport",
    "keep_in_hand",
    "leave_all",
    "put_back_unknown",
    "register",
    "release_done",
]
