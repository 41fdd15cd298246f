"""The sub-calls of a request as a reviewer reads them: each prompt, schema and context with its size."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...state.wording import counted
from ..terminal.escape import safe_line

_LINE = 80
"""Characters of a key, a model's name or a document's name that are shown."""


def calls_in(args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sub-calls in the arguments of a request."""
    return [one for one in args.get("calls") or [] if isinstance(one, dict)]


def parts_of(call: Mapping[str, Any], same: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the texts that a call sends, each under its heading, which is safe to show.

    A schema that an earlier call has too is shown there; `same` keeps which, over the calls of a request.
    """
    prompt, key = str(call.get("prompt", "")), str(call.get("key", ""))
    named = [safe_line(str(call.get(part, "")), _LINE) for part in ("key", "kind", "model") if call.get(part)]
    limit = call.get("max_tokens")
    named += [f"at most {limit:,} tokens out"] if isinstance(limit, int) else []
    yield " · ".join([*named, _size(len(prompt), call.get("chars"))]), prompt
    if (schema := call.get("schema")) is not None:
        # A long schema of a large request is a beginning, as text.
        text = schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False, indent=2)
        first = same.setdefault(text, key)
        size = _size(len(text), call.get("schema_chars") if isinstance(schema, str) else None)
        where = f" · as in {safe_line(first, _LINE)}" if first != key else ""
        yield f"the schema of its answer · {size}{where}", "" if where else text
    if isinstance(context := call.get("context"), dict):
        yield _heading_of(context), str(context.get("text", ""))


def _heading_of(context: Mapping[str, Any]) -> str:
    documents, chars, names = context.get("documents"), context.get("chars"), context.get("names")
    facts = [counted(documents, "document")] if isinstance(documents, int) else []
    if "text" in context:
        facts.append(_size(len(str(context["text"])), chars))
    else:
        facts += [counted(chars, "character")] if isinstance(chars, int) else []
        facts.append(f"as in {safe_line(str(context.get('text_at', '')), _LINE)}")
    if isinstance(names, list) and names:
        listed = ", ".join(safe_line(str(name), 40) for name in names[:5])
        facts.append(f"{listed}{', …' if len(names) > 5 else ''}")
    return " · ".join(["the context that it is handed", *facts])


def _size(shown: int, whole: Any) -> str:
    if isinstance(whole, int) and whole > shown:
        return f"the first {shown:,} of {whole:,} characters"
    return counted(shown, "character")
