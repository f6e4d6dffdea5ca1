"""A connection to the broker that comes back by itself."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from pika import URLParameters
from pika.adapters.select_connection import SelectConnection

from bridge.core.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

_FIRST_DELAY, _LAST_DELAY = 0.2, 10.0  # seconds between attempts to connect
_A_MOMENT = 0.05  # seconds
_LONGEST_END = 10.0  # seconds; by then all is settled, and the process may end
_HEARTBEAT = 30


def parameters(url: str) -> URLParameters:
    try:
        parameters = URLParameters(url)
    except Exception as error:  # noqa: BLE001 (pika raises whatever its parsing runs into)
        raise ConfigError(f"amqp_url is not an AMQP URL ({type(error).__name__})") from None
    parameters.heartbeat = _HEARTBEAT
    parameters.blocked_connection_timeout = None  # a memory alarm ends by itself; closing would only add load
    return parameters


class Connection:
    """A connection that one thread of its own keeps up, with one try after the other, until it is stopped.

    `prepare` runs before each try, `opened` once the connection is open, `lost` after it ended: all on that thread.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        prepare: Callable[[], None],
        opened: Callable[[SelectConnection], None],
        lost: Callable[[], None],
    ) -> None:
        self._parameters = parameters(url)
        self._parameters.client_properties = {"connection_name": f"hl7-dicom-bridge {name}"}
        self._name = name
        self._prepare, self._opened, self._lost = prepare, opened, lost
        self._stopping = threading.Event()
        self._current: SelectConnection | None = None
        self._guard = threading.Lock()  # a loop that is closed takes no calls
        self._was_open = False
        self._is_up = False
        self._thread = threading.Thread(target=self._run, name=f"amqp-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Runs `function` on the connection's thread; not at all when the connection is lost before."""
        with self._guard:
            if self._current is not None:
                self._current.ioloop.add_callback_threadsafe(function)

    def stop(self) -> None:
        """Closes the connection and waits for its thread, not for a broker that does not answer."""
        self._stopping.set()
        self.call(self.close)
        self._thread.join(_LONGEST_END)

    def close(self) -> None:
        """Ends the current connection, once it is up; only from its own thread."""
        if self._current is None or self._current.is_closing or self._current.is_closed:
            return
        if self._is_up:
            self._current.close()
        else:  # pika neither ends well nor at all when it is closed while it opens
            self._current.ioloop.call_later(_A_MOMENT, self.close)

    def begin_again(self, reason: object) -> None:
        """Ends the current connection, so that another one follows; only from its own thread."""
        if not self._stopping.is_set():
            log.warning("amqp channel ended: %s", reason, extra={"connection": self._name})
        self.close()

    def _run(self) -> None:
        delay = _FIRST_DELAY
        while not self._stopping.is_set():
            self._was_open = False
            try:
                self._prepare()
                self._connect()
            except (Unavailable, ConfigError) as error:
                log.warning("broker: %s; trying again", error, extra={"connection": self._name})
            delay = _FIRST_DELAY if self._was_open else min(delay * 2, _LAST_DELAY)
            self._stopping.wait(delay)

    def _connect(self) -> None:
        self._is_up = False
        self._current = SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        if self._stopping.is_set():  # stop() may have looked for a connection just before there was one
            self._current.ioloop.add_callback(self.close)
        ended = self._current.ioloop
        try:
            ended.start()
        except (AssertionError, OSError, ValueError) as error:
            if self._is_up:
                raise
            # pika, when the broker goes away in the middle of the opening: an attempt that failed like any other.
            raise Unavailable(f"the connection could not be opened ({type(error).__name__})") from error
        finally:
            with self._guard:
                self._current = None
                ended.close()
            self._lost()

    def _on_open(self, connection: SelectConnection) -> None:
        self._was_open = True
        connection.ioloop.call_later(_A_MOMENT, self._up)  # pika ends its own part of opening after this
        log.info("broker connected", extra={"connection": self._name})
        self._opened(connection)

    def _up(self) -> None:
        self._is_up = True

    def _on_end(self, connection: SelectConnection, reason: Any) -> None:
        if not self._stopping.is_set():
            log.warning("broker connection ended", extra={"connection": self._name, "reason": type(reason).__name__})
        connection.ioloop.stop()
