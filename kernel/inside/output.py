"""The output of a cell, kept whole up to a cap; of larger output the head and the tail are kept."""

import threading

HEAD = 12 << 20
TAIL = 4 << 20
"""Characters that are kept of the beginning and of the end."""


class Capture:
    """A file-like object that stores what is written to it. Threads may write to it."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._limits = head, tail
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Discard the stored text."""
        with self._lock:
            self._head: list[str] = []
            self._tail: list[str] = []
            self._head_size = self._tail_size = self._dropped = 0

    def write(self, text: str) -> int:
        """Store `text`; of what exceeds the cap, only the last part is kept. Return its length."""
        head, tail = self._limits
        with self._lock:
            room = head - self._head_size
            if room > 0:
                kept = text[:room]
                self._head.append(kept)
                self._head_size += len(kept)
                rest = text[room:]
            else:
                rest = text
            if rest:
                self._tail.append(rest)
                self._tail_size += len(rest)
                if self._tail_size > 2 * tail:
                    self._trim(tail)
        return len(text)

    @property
    def written(self) -> int:
        """The number of characters that were written."""
        return self._head_size + self._dropped + self._tail_size

    def place(self, offset: int) -> int:
        """Return the place in `text()` of what was written after `offset` characters; of what is not kept, its gap."""
        with self._lock:
            if offset <= self._head_size:
                return offset
            dropped = self._dropped + max(0, self._tail_size - self._limits[1])
            left_out = self._head_size + dropped
            gap = len(self._gap(dropped))
            return self._head_size + gap + (offset - left_out if offset > left_out else 0)

    def flush(self) -> None:
        """Do nothing: no text is buffered."""

    def text(self) -> str:
        """Return the stored text, with a line that says how many characters are missing in the middle."""
        with self._lock:
            if self._tail_size > self._limits[1]:
                self._trim(self._limits[1])
            return "".join(self._head) + self._gap(self._dropped) + "".join(self._tail)

    def _gap(self, dropped: int) -> str:
        return f"\n[… {dropped:,} characters of output are not kept …]\n" if dropped else ""

    def _trim(self, tail: int) -> None:
        joined = "".join(self._tail)
        self._dropped += len(joined) - tail
        self._tail = [joined[-tail:]]
        self._tail_size = tail


captured = Capture()
"""Printed and displayed output of the running cell. A process is one kernel, so there is one capture."""
