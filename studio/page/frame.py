"""The frame around every screen of one run: its question, status and sums, and the tabs."""

from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from ...graph.queries import RunQueries
from .home import PageHome


class _Number(Convertor[int]):
    """The number of a step, a turn or a file in a path. One that is too long for any is a number that is not there."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        # `int` takes 4,300 digits, SQLite's integers have 19.
        return int(value[:16])

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _Number())


async def framed(home: PageHome, request: Request, tab: str) -> dict[str, Any]:
    """Return what `run_frame.html` needs for the run that a request names. Raises UnknownThread, StoreError.

    `run` is what `rlm show --json` says of it without its turns (`RunQueries.about`), `tab` the tab that is open.
    """
    queries: RunQueries = home.queries
    return {"run": await queries.about(thread_of(request)), "tab": tab}


def thread_of(request: Request) -> str:
    """Return the name of the run that a request's path names."""
    return str(request.path_params["thread"])
