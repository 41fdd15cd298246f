"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import (
    actions,
from . import (
)

ROUTES: list[Route] = [
]
    events,
    fork,
    input,
    new_run,
    review,
    run,
    runs,
    turn,
)

ROUTES: list[Route] = [
    *runs.ROUTES,
    *actions.ROUTES,
from . import (
    calls,
    compare,
)

ROUTES: list[Route] = [
    *compare.ROUTES,
    *calls.ROUTES,
]
    *fork.ROUTES,
    *input.ROUTES,
    *new_run.ROUTES,
    *review.ROUTES,
    *events.ROUTES,
    *run.ROUTES,
    *turn.ROUTES,
]
