"""Safe fetching on Redis and Valkey: the transport of ``redis://``, ``rediss://``, ``sentinel://``.

Every message is in exactly one place on the server, at every moment:

1. on the list of its queue and priority, where a producer has put it;
2. in the hash of the consumer that holds it (``unacked:held:CONSUMER``), from the moment it leaves
   the list until it is done;
3. in the sorted set of delayed messages (``unacked:scheduled``), until its ETA;
4. among the dead letters.

What must hold, and does so because each move is one Lua script:

- *Never nowhere.* A message is recorded as held before it leaves its list, in the same script. No
  end of a process, a connection or the server is between the two.
- *Held by one.* A consumer's name is used by one process only. Its tags are of use in its own hash
  alone, so that the late acknowledgement of a consumer that was given up cannot touch the new one.
- *Held while alive.* A thread renews the lease of the process (``unacked:consumers``) whatever the
  main thread does. A live consumer's message is never given away, however long it takes.
- *Given away when dead.* Whose lease has ended is swept by any other: its messages go back to where
  they came from, to be taken next. No consumer is swept right after an outage, see
  :class:`worker.transport.holder.Lease`.
- *Bytes stay.* What a producer has sent is put back, delayed or buried byte for byte.
- *Tags are ours.* A producer's ``delivery_tag`` is not used for anything.

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
