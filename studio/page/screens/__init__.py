"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import actions, runs

ROUTES: list[Route] = [*runs.ROUTES, *actions.ROUTES]
