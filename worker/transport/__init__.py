"""Safe fetching of messages on Redis and Valkey: the transport of ``redis://`` and its relatives.
"""

from worker.transport.channel import (
    Channel,
    keep_in_hand,
    leave_all,
    put_back_unknown,
    register,
    release_done,
)

__all__ = [
    "Channel",
    "keep_in_hand",
    "leave_all",
    "put_back_unknown",
    "register",
    "release_done",
]
