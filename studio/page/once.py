"""Forms that begin a run begin one, however often they are sent: its name is made from the form and what it says.

So a second sending finds the run of the first, also after the server was restarted; a form with other words begins
another run.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from weakref import WeakValueDictionary

from starlette.requests import Request

from ...state.run_names import slug
from .home import NoHome, home_of

_DIGITS = 6
"""Hexadecimal digits behind the words of a run's name."""
_LONGEST = 60


class OneByOne:
    """Lets forms that would begin the same run do so one after the other."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def begins(self, name: str) -> AsyncGenerator[None]:
        """Wait until no other form begins a run of this name, and keep others waiting until the end of the context."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            yield


def new_form() -> str:
    """Return a name for a form: when it was made, in seconds since 1970, and random digits."""
    return f"{int(time.time())}-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Sent:
    """A form that was sent."""

    form: str
    """Its name (`new_form`); empty when it was sent by something else than a browser."""
    question: str
    said: Sequence[object]
    """All that it says."""
    name: str = ""
    """The name that was typed for the run."""

    @property
    def thread(self) -> str | None:
        """The name of the run that it begins; None to leave it to the program."""
        if self.name or not self._made:
            return self.name or None
        digest = sha256(repr((self.form, self.question, *self.said)).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{slug(self.question)}-{digest[:_DIGITS]}"

    @property
    def _made(self) -> int:
        """When the form was made, in seconds since 1970; 0 where that is not known."""
        made, dash, digits = self.form[:_LONGEST].partition("-")
        return int(made) if dash and digits and made.isascii() and made.isdecimal() and len(made) < 12 else 0

    async def has_begun(self, request: Request) -> bool:
        """Return whether the run has been begun by an earlier sending of this form. Raises StoreError."""
        if self.thread is None or not self._made:
            return False
        try:
            found = await (await home_of(request)).stores.threads.find(self.thread)
        except NoHome:
            return False
        return found is not None and found.question == self.question and found.created >= self._made


def one_by_one(request: Request) -> OneByOne:
    """Return what lets forms begin runs one after the other."""
    found: OneByOne = request.app.state.one_by_one
    return found
