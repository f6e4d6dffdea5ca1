"""Why something is decided again, and where: the message or the person, and the site with its channels."""

from collections.abc import Mapping
from typing import NamedTuple

from bridge.core.channel import Channel, Destination
from bridge.core.policy import DEFAULT_POLICY, Policy
from bridge.core.publishing import Origin
from bridge.core.struct import Value
from bridge.store.rows import StoredMessage


class Site(NamedTuple):
    """What is the same for every message of a site. Times are in seconds, for channels that state none."""

    origin: Origin
    channels: Mapping[str, Channel]
    policy: Policy = DEFAULT_POLICY
    settle_after: float = 60.0
    hold_for: float = 86400.0

    def settles_after(self, channel: str) -> float:
        known = self.channels.get(channel)
        return self.settle_after if known is None or known.settle_after is None else known.settle_after

    def holds_for(self, channel: str) -> float:
        known = self.channels.get(channel)
        return self.hold_for if known is None or known.hold_for is None else known.hold_for

    def destinations(self, channel: str, event: str) -> list[Destination]:
        """Those of a channel that events of this name go to; one whose file is gone publishes all as it is usual."""
        known = self.channels.get(channel)
        return [one for one in (known.destinations if known else (Destination(),)) if one.wants(event)]


class Cause(Value):
    """What is being applied, and when: a message by its id, or the id of what a person (`user`) decided.

    Where it is `replayed` nothing is applied, and all that is known is told again.
    `clock` is in seconds, of the clock that runs while the source is connected and its queues are drained.
    """

    message: str
    channel: str
    at: str
    clock: float
    message_id: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    user: str | None = None
    replayed: bool = False


def cause_of(message: StoredMessage, at: str, clock: float) -> Cause:
    return Cause(
        message=message.id,
        channel=message.channel,
        at=at,
        clock=clock,
        message_id=message.message_id,
        correlation_id=message.correlation_id or message.message_id,
        traceparent=message.traceparent,
    )
