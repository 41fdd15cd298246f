"""What a cell prints, kept whole up to a cap: the head and the tail of anything larger."""

import threading

HEAD = 12 << 20
TAIL = 4 << 20
"""Characters kept of the beginning and of the end."""


class Capture:
    """A file-like object that remembers what is written to it; safe to write from threads."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._limits = head, tail
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._head: list[str] = []
            self._tail: list[str] = []
            self._head_size = self._tail_size = self._dropped = 0

    def write(self, text: str) -> int:
        """Remember `text`; of what exceeds the cap, only the last part."""
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

    def flush(self) -> None:
        """Nothing is held back."""

    def text(self) -> str:
        """All of it, with a line that says how much is missing in the middle."""
        with self._lock:
            if self._tail_size > self._limits[1]:
                self._trim(self._limits[1])
            gap = f"\n[… {self._dropped:,} characters of output are not kept …]\n" if self._dropped else ""
            return "".join(self._head) + gap + "".join(self._tail)

    def _trim(self, tail: int) -> None:
        joined = "".join(self._tail)
        self._dropped += len(joined) - tail
        self._tail = [joined[-tail:]]
        self._tail_size = tail


captured = Capture()
"""What the running cell has printed and displayed. One kernel a process, so one capture."""
