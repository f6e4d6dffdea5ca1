"""A thread that does one thing again and again, with a pause before each time, until it is told to end."""

import threading
from collections.abc import Callable


class Periodic:
    """Does `work` every `pause` seconds. `ending` is set once it is to end: work in steps looks at it between them."""

    def __init__(self, name: str, work: Callable[[], None], pause: float) -> None:
        self._work = work
        self._pause = pause
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Ends, and waits for it for at most so long: a database that stands still does not answer at all."""
        self.ending.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self.ending.wait(self._pause):
            self._work()
