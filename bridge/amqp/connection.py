"""A connection to the broker that comes back by itself."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPConnectionError, ConnectionClosedByBroker

from bridge import metrics
from bridge.amqp.parameters import failure, parameters
from bridge.core.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

_FIRST_DELAY, _LAST_DELAY = 0.2, 10.0  # seconds between attempts to connect
_A_MOMENT = 0.05  # seconds
_LONGEST_END = 10.0  # seconds; by then all is settled, and the process may end
_LASTING = 5.0  # seconds; a connection that lasted so long was of use


class Connection:
    """A connection that one thread of its own keeps up, with one try after the other, until it is stopped.

    `prepare` runs before each try, `opened` once the connection is open, `lost` after it ended, with what ended it: all
    on that thread.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        prepare: Callable[[], None],
        opened: Callable[[SelectConnection], None],
        lost: Callable[[BaseException | None], None],
    ) -> None:
        self._url = url
        self._name = name
        self._prepare, self._opened, self._lost = prepare, opened, lost
        self._stopping = threading.Event()
        self._current: SelectConnection | None = None
        self._guard = threading.Lock()  # a loop that is closed takes no calls
        self._proven = False
        self._is_up = False
        self._ended_by: BaseException | None = None
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
        if isinstance(reason, AMQPConnectionError):
            return  # it has ended by itself, and its AMQP channels with it
        if not self._stopping.is_set():
            log.warning("amqp channel ended: %s", reason, extra={"connection": self._name})
        self.close()

    def proven(self) -> None:
        """It was of use: when it ends, another one follows at once; only from its own thread."""
        self._proven = True

    def _run(self) -> None:
        delay = _FIRST_DELAY
        while not self._stopping.is_set():
            self._proven = False
            try:
                self._prepare()
                self._connect()
            except (Unavailable, ConfigError) as error:
                log.warning("broker: %s; trying again", error, extra={"connection": self._name})
            delay = _FIRST_DELAY if self._proven else min(delay * 2, _LAST_DELAY)
            self._stopping.wait(delay)

    def _connect(self) -> None:
        self._is_up, self._ended_by = False, None
        stated = parameters(self._url)
        stated.client_properties = {"connection_name": f"hl7-dicom-bridge {self._name}"}
        self._current = SelectConnection(
            stated,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
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
            self._lost(self._ended_by)

    def _on_open(self, connection: SelectConnection) -> None:
        connection.ioloop.call_later(_LASTING, self.proven)
        connection.ioloop.call_later(_A_MOMENT, self._up)  # pika ends its own part of opening after this
        metrics.connected(self._name)
        log.info("broker connected", extra={"connection": self._name})
        self._opened(connection)

    def _up(self) -> None:
        self._is_up = True

    def _on_open_error(self, connection: SelectConnection, reason: Any) -> None:
        log.warning("broker: %s; trying again", failure(reason), extra={"connection": self._name})
        connection.ioloop.stop()

    def _on_end(self, connection: SelectConnection, reason: Any) -> None:
        self._ended_by = reason
        if not self._stopping.is_set():
            said = {"connection": self._name, "reason": type(reason).__name__}
            if isinstance(reason, ConnectionClosedByBroker):
                said["broker_says"] = f"{reason.reply_code} {reason.reply_text}"
            log.warning("broker connection ended", extra=said)
        connection.ioloop.stop()
