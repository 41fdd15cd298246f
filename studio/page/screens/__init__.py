"""The screens of the page, each with its addresses."""

from starlette.routing import Route

from . import runs

ROUTES: list[Route] = [*runs.ROUTES]
