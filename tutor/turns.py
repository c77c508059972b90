"""How much one learner of many may have done at once, so that nobody waits behind another's ten clicks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class BusyError(RuntimeError):
    """Enough of the learner's requests are being worked on already."""


class Turns:
    """Counts what is being worked on for each learner. Who has had enough is told at once, and holds no place in a queue."""

    def __init__(self, at_once: int) -> None:
        """`at_once` is the number of requests of one learner."""
        self._at_once = at_once
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def of(self, learner: str) -> Iterator[None]:
        """A turn of a learner, taken as long as the block runs. Raises BusyError where there is none left."""
        with self._lock:
            if self._running[learner] >= self._at_once:
                raise BusyError(
                    f"The tutor is still busy with {self._at_once} requests of yours. Wait until one of them is done, then "
                    "try again."
                )
            self._running[learner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[learner] -= 1
                self._running += Counter()  # forgets who has nothing running
