"""How AsyncAPI writes an exchange, a queue, and which messages go there (its AMQP bindings, version 0.3.0)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bridge.asyncapi.pointers import reference


class Addresses(NamedTuple):
    """AsyncAPI's channels and operations, by name."""

    channels: dict[str, Any]
    operations: dict[str, Any]


def messages(names: Sequence[str]) -> dict[str, Any]:
    """References to messages of the components, by name."""
    return {name: reference("components", "messages", name) for name in names}


def exchange(name: str, vhost: str) -> dict[str, Any]:
    """A durable topic exchange."""
    stated = {"name": name, "type": "topic", "durable": True, "autoDelete": False, "vhost": vhost}
    return amqp({"is": "routingKey", "exchange": stated})


def foreign_exchange(name: str, vhost: str) -> dict[str, Any]:
    """An exchange of somebody else's, of which nothing is known but its name."""
    return amqp({"is": "routingKey", "exchange": {"name": name, "vhost": vhost}})


def queue(name: str, vhost: str) -> dict[str, Any]:
    """A durable queue."""
    stated = {"name": name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": vhost}
    return amqp({"is": "queue", "queue": stated})


def amqp(stated: dict[str, Any]) -> dict[str, Any]:
    """A binding of any kind."""
    return {"amqp": stated | {"bindingVersion": "0.3.0"}}
