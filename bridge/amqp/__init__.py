"""AMQP 0-9-1 through pika, and the only package that knows pika.

A connection is owned by one thread, which runs nothing else: a `Consumer` to take messages and acknowledge them, a
`Publisher` to publish with confirms, so that a blocked publisher never stops acknowledgements. Both come back by
themselves when the broker does. Nothing here acknowledges a message before it is told to.
"""

from bridge.amqp.consumer import Consumer, Received
from bridge.amqp.dead_letters import DeadQueue, Letter, dead_queue
from bridge.amqp.oneshot import QueueState, connected, events, publish, queue_state
from bridge.amqp.publisher import (
    MESSAGE_HEADER,
    REJECTED_AT_HEADER,
    Confirmation,
    Publication,
    Publisher,
    bare,
    properties,
    with_headers,
)
from bridge.amqp.tolerance import tolerate
from bridge.amqp.topology import DEAD, DEAD_ARGUMENTS, SOURCE_ARGUMENTS, SourceQueue, Topology, compare, declare, remove

tolerate()

__all__ = [
    "DEAD",
    "DEAD_ARGUMENTS",
    "MESSAGE_HEADER",
    "REJECTED_AT_HEADER",
    "SOURCE_ARGUMENTS",
    "Confirmation",
    "Consumer",
    "DeadQueue",
    "Letter",
    "Publication",
    "Publisher",
    "QueueState",
    "Received",
    "SourceQueue",
    "Topology",
    "bare",
    "compare",
    "connected",
    "dead_queue",
    "declare",
    "events",
    "properties",
    "publish",
    "queue_state",
    "remove",
    "with_headers",
]
