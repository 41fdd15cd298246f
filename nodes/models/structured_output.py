"""A provider's own structured output: what is sent for a schema, and how its refusal is told from other faults.

It only helps the model: the schema stands in the system message too, and what comes back is parsed and validated
like any answer (`typed`). The form is that of OpenAI's chat completions, which vLLM, llama.cpp, Ollama, LM Studio and
most gateways share.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

_NAME = "answer"
_REFUSAL_STATUS = frozenset({400, 404, 422, 500, 501})
_REFUSAL = re.compile(
    r"response.?format|json.?schema|structured.?output|guided.?(json|decoding)|grammar", re.IGNORECASE
)
_THIS_SCHEMA = re.compile(r"invalid schema|schema .{0,80}(not supported|unsupported|not permitted)", re.IGNORECASE)

_ANNOTATIONS = frozenset({"title", "description", "$schema"})
_STRICT_KEYS = _ANNOTATIONS | {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "pattern"),
}
_MOST_LEVELS = 10
_MOST_PROPERTIES = 5_000


def response_format(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request's `response_format` for an answer of this schema; None where the form has none for it.

    Its top level must be an object. `strict` is asked for where the schema is within OpenAI's strict subset.
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        return None
    form = {"name": _NAME, "schema": dict(schema), "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": form}


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether OpenAI's strict mode takes the schema: all properties required, no others allowed, no rare keywords."""
    return 0 <= _count(schema, 1) <= _MOST_PROPERTIES


def refuses_form(status: int | None, said: str) -> bool:
    """Whether an error answer to a request with `response_format` is about that."""
    return status in _REFUSAL_STATUS and _REFUSAL.search(said) is not None


def refuses_schema(said: str) -> bool:
    """Whether such a refusal is of the one schema, and not of every one."""
    return _THIS_SCHEMA.search(said) is not None


def _count(schema: Any, level: int) -> int:
    """The properties of the schema and of those in it; -1 when one of them is not strict."""
    if not isinstance(schema, Mapping) or level > _MOST_LEVELS:
        return -1
    here = cast("Mapping[str, Any]", schema)
    if not here.keys() <= _STRICT_KEYS or ("$ref" in here and not str(here["$ref"]).startswith("#")):
        return -1
    properties = _mapping(here.get("properties"))
    if here.get("type") == "object" or properties:
        closed = here.get("additionalProperties") is False
        if not closed or set(_listed(here.get("required"))) != set(properties):
            return -1
    elif not here.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        return -1
    inner = [*properties.values(), *_mapping(here.get("$defs")).values(), *_listed(here.get("anyOf"))]
    if "items" in here:
        inner.append(here["items"])
    counts = [_count(one, level + 1) for one in inner]
    return -1 if -1 in counts else len(properties) + sum(counts)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
