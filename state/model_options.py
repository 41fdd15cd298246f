"""Options of a model: `temperature`, `effort` and others, given as `K=V`, in a table or as JSON, in one checked form.

They are frozen with the run, so no secret is among them: a header's value may be `env:NAME`, which is read when the
model is opened. A value is never repeated in an error, as it may be a key that was put into the wrong place.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from .environment_secrets import secrets_of_environment

ENV = "env:"
HEADER = "header."
BODY = "body."
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_KNOWN = "temperature, top_p, effort, seed, max_output, header.NAME, body.KEY"
_NEXT_ITEM = re.compile(r",(?=\s*(?:temperature|top_p|effort|seed|max_output|header\.[^=,]+|body\.[^=,]+)\s*=)")
_LARGEST = 32_000
"""Characters of all options together, as JSON."""
_DEEPEST = 20
_WHOLE = re.compile(r"[+-]?\d{1,19}")
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,4000}[!-~])?")
_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
     "upgrade", "te", "trailer", "expect", "accept-encoding"}
)  # fmt: skip
_SECRET_HEADER = re.compile(r"auth|api[-_]?key|(^|[-_])key$|token|secret|passw|cookie|credential|signature")
_SECRET_FIELD = re.compile(r"(^|_)(api_?key|authorization|access_token|password|secret|credentials?)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(Bearer|Basic)\s+\S{8}|(sk|pk|rk|xai|gsk|hf|AIza)[-_][\w-]{6}", re.IGNORECASE)
_RESERVED_FIELDS = {
    **dict.fromkeys(
        ("messages", "model", "stream", "stream_options", "n", "contents", "system", "system_instruction",
         "systemInstruction", "prompt", "input", "best_of"),
        "each request sets it itself",
    ),
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict"),
        "a budget counts on the limit of a reply; write max_output=N",
    ),
}  # fmt: skip


def parse_options(given: Any) -> dict[str, Any]:
    """Return checked options as plain JSON, sorted by name: `{"body.top_k": 40, "temperature": 0.2}`.

    `given` is a sequence of texts `K=V`; one text with several, separated by commas where a known name follows, or with
    a JSON object; or a mapping, in which `header` and `body` may be tables. Of two values for one name the later
    counts. A dot in a KEY of `body.` leads into an object: `body.chat_template_kwargs.enable_thinking=false`. Text
    after `body.KEY=` is JSON where it parses as JSON. What this returns, it also takes. Raises ValueError.
    """
    options: dict[str, Any] = {}
    for name, value in _items(given):
        _add(options, name, value)
    try:
        text = json.dumps(dict(sorted(options.items())), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError):
        raise ValueError("a value is not JSON") from None
    if len(text) > _LARGEST:
        raise ValueError(f"longer than {_LARGEST:,} characters")
    return json.loads(text)


Options = Annotated[dict[str, Any], BeforeValidator(parse_options)]
"""Options of a model by name, also given as texts `K=V` or as tables."""


def headers_among(given: Any) -> list[str]:
    """Return the values of the headers among options, in any form that can be read."""
    try:
        return [str(value) for name, value in _items(given) if name.startswith(HEADER)]
    except ValueError:
        return []


def _items(given: Any) -> list[tuple[str, Any]]:
    """Return names and values; the values of texts are texts, but for JSON after `body.KEY=`."""
    if isinstance(given, str):
        if not given.lstrip().startswith("{"):
            return _items([] if not given.strip() else _NEXT_ITEM.split(given))
        given = _loaded(given)
    if isinstance(given, Mapping):
        return [item for name, value in given.items() for item in _from_table(str(name), value)]
    if isinstance(given, list | tuple) and all(isinstance(one, str) for one in given):
        return [_from_text(one) for one in given]
    raise ValueError("not options; write K=V")


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not a JSON object, although it begins like one") from None


def _from_text(item: str) -> tuple[str, Any]:
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError(f"{_shown(item)} has no value; write K=V")
    name, value = name.strip(), value.strip()
    if name.startswith(BODY):
        try:
            return name, json.loads(value, parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError(f"{_shown(name)} is nested too deeply") from None
        except ValueError:
            return name, value
    return name, value


def _refuse_constant(name: str) -> Any:
    """Raise ValueError: `NaN` and `Infinity`, which Python reads, are not JSON."""
    raise ValueError(name)


def _from_table(name: str, value: Any) -> list[tuple[str, Any]]:
    if name in ("header", "body") and isinstance(value, Mapping):
        return [(f"{name}.{inner}", one) for inner, one in value.items()]
    return [(name, value)]


def _add(options: dict[str, Any], name: str, value: Any) -> None:
    """Check one option and enter it under its canonical name."""
    if name in _CHECKS:
        try:
            options[name] = _CHECKS[name](value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    elif name.startswith(HEADER):
        canonical = name.lower()
        options[canonical] = _header(canonical.removeprefix(HEADER), value)
    elif name.startswith(BODY):
        _add_field(options, name.removeprefix(BODY).split("."), value)
    else:
        raise ValueError(f"there is no option {_shown(name)}; there are {_KNOWN}")


def _number(most: float, words: str) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        try:
            number = -1.0 if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if not (math.isfinite(number) and 0 <= number <= most):
            raise ValueError(f"not a number {words}")
        return number

    return check


def _integer(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 63:
            raise ValueError("not a whole number" if least < 0 else f"not a whole number of at least {least}")
        return value

    return check


def _effort(value: Any) -> str:
    effort = value.strip().lower() if isinstance(value, str) else ""
    if effort not in EFFORTS:
        raise ValueError(f"not one of {', '.join(EFFORTS)}; a server's own word for it goes into body.KEY")
    return effort


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "temperature": _number(math.inf, "of at least 0"),
    "top_p": _number(1, "from 0 to 1"),
    "effort": _effort,
    "seed": _integer(-(1 << 63)),
    "max_output": _integer(1),
}


def _header(name: str, value: Any) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{_shown(name)} is not the name of a header")
    if name in _RESERVED_HEADERS or name.startswith("proxy-"):
        raise ValueError(f"header.{name}: each request sets it itself")
    if not isinstance(value, str) or not is_header_value(value):
        raise ValueError(f"header.{name}: a header's value is ASCII text on one line")
    if value.startswith(ENV):
        if not _VARIABLE.fullmatch(value.removeprefix(ENV)):
            raise ValueError(f"header.{name}: {ENV} is followed by the name of an environment variable")
    elif _SECRET_HEADER.search(name) or _is_secret(value):
        raise ValueError(
            f"header.{name} looks like a secret, and options are saved with the run; put it into an environment "
            f"variable, and write header.{name}={ENV}NAME"
        )
    return value


def _is_secret(value: str) -> bool:
    """Return whether a value looks like a secret, or has one of the environment in it."""
    return bool(_SECRET_VALUE.match(value)) or any(secret in value for secret in secrets_of_environment())


def is_header_value(value: str) -> bool:
    """Return whether `value` can be sent as a header: printable ASCII on one line, of at most 4,002 characters."""
    return _HEADER_VALUE.fullmatch(value) is not None


def _add_field(options: dict[str, Any], path: list[str], value: Any) -> None:
    """Enter a field of the request's body, of which `path` is the name and the names of objects in it."""
    if not all(path):
        raise ValueError(f"{_shown(BODY + '.'.join(path))} does not name a field")
    if reason := _RESERVED_FIELDS.get(path[0]):
        raise ValueError(f"body.{path[0]}: {reason}")
    for name in reversed(path[1:]):
        value = {name: value}
    _check_field({path[0]: value}, BODY.rstrip("."), 0)
    key = BODY + path[0]
    options[key] = _merged(options.get(key), value)


def _check_field(value: Any, where: str, depth: int) -> None:
    """Raise ValueError for nesting that is too deep, for names that are not texts, and for what looks like a secret."""
    if depth > _DEEPEST:
        raise ValueError(f"{where[:60]}… is nested too deeply")
    if isinstance(value, Mapping):
        for name, one in value.items():
            if not isinstance(name, str):
                raise ValueError("a value is not JSON")
            if _SECRET_FIELD.search(name):
                raise _looks_secret(f"{where}.{name}")
            _check_field(one, f"{where}.{name}", depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            _check_field(one, where, depth + 1)
    elif isinstance(value, str) and _is_secret(value):
        raise _looks_secret(where)


def _looks_secret(where: str) -> ValueError:
    return ValueError(
        f"{_shown(where)} looks like a secret, and options are saved with the run; send it as header.NAME={ENV}NAME"
    )


def _merged(earlier: Any, later: Any) -> Any:
    """Return `later` with what only `earlier` has, where both are objects."""
    if not (isinstance(earlier, Mapping) and isinstance(later, Mapping)):
        return later
    both = {name: _merged(earlier.get(name), value) for name, value in later.items()}
    return {**earlier, **both}


def _shown(name: str) -> str:
    """Return a name from the user on one line of limited length."""
    text = name if len(name) <= 60 else f"{name[:60]}…"
    return repr(text)
