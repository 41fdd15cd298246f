"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import (
    actions,
    calls,
    compare,
    events,
    fork,
    input,
    new_run,
    review,
    run,
    runs,
    steps,
    turn,
)

ROUTES: list[Route] = [
    *runs.ROUTES,
    *actions.ROUTES,
    *calls.ROUTES,
    *compare.ROUTES,
    *fork.ROUTES,
    *input.ROUTES,
    *new_run.ROUTES,
    *review.ROUTES,
    *events.ROUTES,
    *run.ROUTES,
    *steps.ROUTES,
    *turn.ROUTES,
]
