"""Templates, and the functions that they may use."""

import json
from collections.abc import Callable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ...state.wording import counted, megabytes
from . import numbers
from .escaped import line, plain, shown, with_code
from .markup import markdown
from .python_code import code_lines

STATIC = Path(__file__).parent / "static"
STYLES = (
    "base",
    "bar",
    "marks",
    "frame",
    "cards",
    "rows",
    "tables",
    "pictures",
    "code",
    "texts",
    "forms",
    "review",
    "run",
    "turn",
    "calls",
    "steps",
    "export",
    "runs",
    "input",
    "values",
    "narrow",
    "print",
)
"""The parts of the style sheet, in order: a later one wins. They are sent as one (`style_sheet`)."""
STYLE_SHEET = "style.css"
SCRIPTS = "scripts"
"""The folder of the scripts in `STATIC`."""
_TEMPLATES = Path(__file__).parent / "templates"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "img-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types rlm",
    ]
)
"""The page's Content-Security-Policy: nothing from elsewhere, nothing inline."""


@cache
def templates() -> Environment:
    """Return the environment of the templates, which escape everything and know no undefined name."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        **{"line": line, "plain": plain, "shown": shown, "markdown": markdown, "code_lines": code_lines},
        "with_code": with_code,
        "json_text": partial(json.dumps, ensure_ascii=False, indent=2),
        **{"amount": numbers.amount, "count": numbers.count, "money": numbers.money, "span": numbers.span},
        **{"percent": numbers.percent, "moment": numbers.moment, "ticking": numbers.ticking, "counted": counted},
        **{"took": numbers.took, "size": megabytes},
    }
    environment.filters.update(filters)
    environment.tests["contains"] = _contains
    return environment


def _contains(whole: Any, part: Any) -> bool:
    return part in whole


@cache
def style_sheet() -> str:
    """Return the style sheet."""
    return "\n".join((STATIC / "styles" / f"{name}.css").read_text("utf-8") for name in STYLES)


@cache
def digest_of(name: str) -> str:
    """Return a digest of a static file, which its address carries so that a browser keeps it."""
    body = style_sheet().encode() if name == STYLE_SHEET else (STATIC / name).read_bytes()
    return sha256(body).hexdigest()[:12]


@cache
def digest_of_scripts() -> str:
    """Return a digest of all scripts. It is a part of their path, so that what one imports is as new as it is."""
    bodies = [path.read_bytes() for path in sorted((STATIC / SCRIPTS).glob("*.js"))]
    return sha256(b"".join(bodies)).hexdigest()[:12]


def address(request: Request, *parts: object, **query: object) -> str:
    """Return the address of a screen: its parts, each quoted, and those of its parameters that are not None."""
    path = "/".join(quote(str(part), safe="", errors="surrogatepass") for part in parts)
    pairs = {name: value for name, value in query.items() if value is not None}
    return f"{request.scope.get('root_path', '')}/{path}{'?' if pairs else ''}{urlencode(pairs, errors='replace')}"


def _names(request: Request) -> dict[str, Any]:
    def href(*parts: object, **query: object) -> str:
        return address(request, *parts, **query)

    def asset(name: str) -> str:
        if name.endswith(".js"):
            return href("static", SCRIPTS, digest_of_scripts(), name)
        return href("static", name, v=digest_of(name))

    functions: dict[str, Callable[..., str]] = {"href": href, "asset": asset}
    opener = request.app.state.opener
    follow = getattr(request.state, "follow", None)
    about_home = {"home_folder": str(opener.home), "read_only": opener.read_only}
    return {**functions, **about_home, "follow": follow, "exported": False}


def text_of(request: Request, template: str, **values: Any) -> str:
    """Return a template's text for a request."""
    return templates().get_template(template).render(**_names(request), **values)


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a template as the response to a request."""
    return HTMLResponse(text_of(request, template, **values), status)
