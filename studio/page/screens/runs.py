"""The first screen: the runs of the home."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..home import home_of
from ..rendering import render


async def runs(request: Request) -> Response:
    """Return the list of runs."""
    home = await home_of(request)
    return render(request, "runs.html", runs=await home.queries.runs())


ROUTES = [Route("/", runs)]
