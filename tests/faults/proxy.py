"""A network between the service and the broker that a test can disturb."""

import socket
import threading
from contextlib import suppress
from typing import Self

_CHUNK = 65536


class Proxy:
    """Passes bytes on to `port`, until it is told otherwise."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._passing = threading.Event()
        self._passing.set()
        self._guard = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []  # the service's side, the broker's side
        self._abandoned: list[socket.socket] = []  # open, and nobody passes anything on to them

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._listener.getsockname()[1]}/%2F?heartbeat=1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._passing.set()
        _close(self._listener)
        for side in [*self._abandoned, *(side for pair in self._all() for side in pair)]:
            _close(side)

    def silence(self) -> None:
        """From now on it takes everything and passes on nothing; connections stay open."""
        self._passing.clear()

    def end_silence(self) -> None:
        """New connections work; what was silent stays so."""
        with self._guard:
            self._abandoned += [side for pair in self._pairs for side in pair]
            self._pairs.clear()
        self._passing = threading.Event()
        self._passing.set()

    def inject(self, garbage: bytes, towards: str) -> None:
        """Puts bytes into every connection, towards the `service` or the `broker`."""
        for service, broker in self._all():
            with suppress(OSError):
                (service if towards == "service" else broker).sendall(garbage)

    def cut(self) -> None:
        """Ends the service's side of every connection; the broker learns nothing of it."""
        with self._guard:
            pairs, self._pairs = self._pairs, []
            self._abandoned += [broker for _service, broker in pairs]
        for service, _broker in pairs:
            _close(service)

    def _all(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._guard:
            return list(self._pairs)

    def _accept(self) -> None:
        while True:
            try:
                service, _address = self._listener.accept()
                broker = socket.create_connection(self._target)
            except OSError:
                return
            with self._guard:
                self._pairs.append((service, broker))
            for source, target in ((service, broker), (broker, service)):
                threading.Thread(target=self._pass, args=(source, target, self._passing), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, passing: threading.Event) -> None:
        with suppress(OSError):
            while received := source.recv(_CHUNK):
                passing.wait()
                target.sendall(received)
        with self._guard:
            abandoned = target in self._abandoned
        if not abandoned:
            _close(target)


def _close(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()
