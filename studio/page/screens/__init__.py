"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import (
    actions,
    events,
    fork,
    new_run,
    runs,
)

ROUTES: list[Route] = [
    *runs.ROUTES,
    *actions.ROUTES,
    *fork.ROUTES,
    *new_run.ROUTES,
    *events.ROUTES,
]
