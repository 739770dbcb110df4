"""What becomes of the messages in hand when the connection to a Redis broker is lost.

The broker keeps a message that was taken and not acknowledged in a hash of its own, and hands it
out again when the visibility timeout has passed. kombu 5.7 tries to put such messages back over
the very connection that was lost, and the worker ends with an AttributeError; without that they
would wait for an hour, and those being worked on would be done again after it. Here they are taken
over by the next connection.
"""

from typing import Any

from celery.worker import state
from kombu.transport.redis import Channel


class Handover:
    """The requests that a lost connection leaves to the next one."""

    def __init__(self) -> None:
        self._left: list[Any] = []

    def leave(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Note what was taken over ``channel``, whose connection is lost."""
        if not isinstance(channel, Channel):
            return  # other brokers put back by themselves what a lost connection had taken
        channel.do_restore = False
        taken = {*state.reserved_requests, *state.active_requests, *state.scheduled_requests}
        known = {id(request) for request in self._left}
        self._left += [
            request
            for request in taken
            if request.message.channel is channel and id(request) not in known
        ]

    def take_over(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Give what was left to ``channel``.

        A message that a pool process works on is acknowledged over the new connection when it is
        done; one that is done already is acknowledged now; one that waited goes back to its queue.
        """
        while self._left:
            request = self._left[-1]
            message = request.message
            if request.acknowledged:
                channel.qos.ack(message.delivery_tag)
            elif request.time_start is not None or request._apply_result is not None:  # noqa: SLF001 - Celery tells it nowhere else
                message.channel = channel
                channel.qos.append(message, message.delivery_tag)
            else:
                channel.qos.restore_by_tag(message.delivery_tag)
            # Last, so that it is not forgotten when this connection is lost in its turn.
            self._left.pop()
