"""The broker as the document names it: out of its URL, everything but who logs in."""

from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from bridge.core.errors import ConfigError

_PORTS = {"amqp": 5672, "amqps": 5671}


class Server(NamedTuple):
    """AsyncAPI's server object, and the virtual host by its name."""

    stated: dict[str, Any]
    vhost: str


def server(url: str) -> Server:
    """The broker of an AMQP URL.

    Raises:
        ConfigError: it is none; or a sign in user or password is not percent-encoded, so that it cannot be told where
            they end. Says nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        raise ConfigError("amqp_url is not an AMQP URL") from None
    if parts.scheme not in _PORTS:
        raise ConfigError(f"amqp_url begins with neither {' nor '.join(f'{known}://' for known in _PORTS)}")
    if "@" in parts.path + parts.query + parts.fragment:  # then the host may be the beginning of a password
        raise ConfigError("amqp_url: write /, ?, # and @ in user, password and virtual host as %2F, %3F, %23 and %40")
    address = f"[{host}]" if ":" in host else host
    vhost = parts.path.partition("/")[2].partition("/")[0] or "%2F"
    return Server(
        {
            "host": f"{address}:{port or _PORTS[parts.scheme]}",
            "pathname": f"/{vhost}",
            "protocol": parts.scheme,
            "protocolVersion": "0.9.1",
            "description": "RabbitMQ 3.10 or later.",
        },
        unquote(vhost),
    )
