"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import (
    actions,
    events,
    fork,
    input,
    new_run,
    run,
    runs,
    turn,
)

ROUTES: list[Route] = [
    *runs.ROUTES,
    *actions.ROUTES,
    *fork.ROUTES,
    *input.ROUTES,
    *new_run.ROUTES,
    *events.ROUTES,
    *run.ROUTES,
    *turn.ROUTES,
]
