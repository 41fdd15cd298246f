"""A conversation as text: messages with their numbers, calls of tools with arguments, results, thoughts.

What a record holds is compared with what was written of it: texts that are not there are counted by their field.
"""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from ..draft import Draft

Fields: TypeAlias = dict[str, Any]

_DEEPEST = 20
_LONGEST_CHECK = 200_000_000
"""Characters that are searched for the texts of one record."""
_TEXTS = frozenset(("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal"))
_CALLS = frozenset(("tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call", "tool_call"))
_RESULTS = frozenset(("tool_result", "function_call_output", "custom_tool_call_output", "web_search_tool_result"))
_IMAGES = frozenset(("image", "input_image", "image_url", "image_asset_pointer", "output_image"))
_SECRET = frozenset(("signature", "encrypted_content", "data", "thoughtSignature"))
"""Fields of bytes, not of text."""
_ROLES = {
    "human": "user",
    "ai": "assistant",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessage": "system",
}


class Transcript:
    """Writes a conversation into a document."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.number = 0
        self._since = 0

    def head(self, role: str, *notes: object) -> None:
        """Begin a message. `notes`: its time and what else is known of it; empty ones are left out."""
        self.number += 1
        self.draft.write("\n" if self.draft.chars else "")
        self.draft.mark("messages", role[:100])
        words = [f"{self.number} {role[:100]}", *(str(note)[:200] for note in notes if note)]
        self.write(f"## {' · '.join(words)}")

    def write(self, text: str) -> None:
        """Write text as lines of its own."""
        self.draft.write(text if text.endswith("\n") else f"{text}\n")

    def content(self, value: object, depth: int = 0) -> None:
        """Write the content of a message: a text, a block, or a list of them."""
        if isinstance(value, str):
            if value:
                self.write(value)
        elif isinstance(value, list) and depth < _DEEPEST:
            for one in cast("list[object]", value):
                self.content(one, depth + 1)
        elif isinstance(value, dict) and depth < _DEEPEST:
            self._block(cast("Fields", value), depth)
        elif value is not None:
            self.write(_compact(value))

    def _block(self, block: Fields, depth: int) -> None:
        kind = str(block.get("type", block.get("content_type", "")))
        if kind in _TEXTS and isinstance(block.get("text", block.get("refusal")), str):
            self.content(block.get("text", block.get("refusal")))
        elif kind in ("thinking", "reasoning"):
            self.thought(block, depth)
        elif kind == "redacted_thinking":
            self.draft.not_shown("encrypted thought")
        elif kind in _CALLS:
            self.call(str(block.get("name", kind)), block.get("input", block.get("arguments", block.get("args"))))
        elif kind in _RESULTS:
            error = " (error)" if block.get("is_error") else ""
            self.write(f"[result{error}]")
            self.content(block.get("content", block.get("output")), depth + 1)
        elif kind in _IMAGES:
            self._image(block)
        elif "parts" in block:
            self.content(block["parts"], depth + 1)
        elif kind == "document" and isinstance(text := fields(block.get("source")).get("data"), str) and " " in text:
            self.write(f"[document {block.get('title') or ''}]\n{text}")
        else:
            self.value(block, depth)

    def thought(self, block: Fields, depth: int = 0) -> None:
        """Write what a model thought, marked as such."""
        parts = [block.get(name) for name in ("thinking", "summary", "content", "text", "reasoning") if block.get(name)]
        if parts:
            self.write("[thinking]")
            self.content(parts, depth + 1)
            self.write("[end of thinking]")
        elif any(block.get(name) for name in _SECRET):
            self.draft.not_shown("encrypted thought")

    def call(self, name: str, arguments: object) -> None:
        """Write a call of a tool: its name, and each argument on lines of its own."""
        self.write(f"[calls {name[:200]}]")
        if isinstance(arguments, str):
            inner = parsed(arguments)
            arguments = cast("object", inner) if isinstance(inner, dict) else arguments
        self.value(arguments)

    def value(self, value: object, depth: int = 0) -> None:
        """Write any value: the fields of an object as lines, texts as they are, the rest as JSON."""
        if isinstance(value, str):
            self.write(value)
        elif isinstance(value, dict) and value and depth < _DEEPEST:
            for name, inner in cast("Fields", value).items():
                if isinstance(inner, str):
                    self.write(f"{name}: {'[not shown]' if name in _SECRET and ' ' not in inner else inner}")
                elif inner not in (None, [], {}):
                    self.write(f"{name}: {_compact(inner)}")
        elif value not in (None, [], {}):
            self.write(_compact(value))

    def message(self, message: Fields, *notes: object) -> None:
        """Write a message of the form that OpenAI, Anthropic and LangChain use, with a head."""
        inner = fields(message.get("kwargs")) or fields(message.get("data")) or message
        names = message.get("id")
        kind = str(cast("list[Any]", names)[-1]) if isinstance(names, list) and names else str(message.get("type", ""))
        author = fields(message.get("author")).get("role")
        role = str(message.get("role") or author or _ROLES.get(kind, kind) or "message")
        self.head(role, message.get("name"), *notes)
        self.body(inner)

    def body(self, message: Fields) -> None:
        """Write what a message says and calls."""
        for name in ("reasoning_content", "reasoning"):
            if isinstance(message.get(name), str) and message[name]:
                self.thought({"text": message[name]})
        self.content(message.get("content"))
        if isinstance(message.get("refusal"), str):
            self.write(f"[refuses] {message['refusal']}")
        if isinstance(transcript := fields(message.get("audio")).get("transcript"), str):
            self.write(f"[spoken] {transcript}")
        for one in map(fields, [*items(message.get("tool_calls")), message.get("function_call")]):
            function = fields(one.get("function")) or one
            if function:
                arguments = function.get("arguments", function.get("args"))
                self.call(str(function.get("name", "a tool")), arguments)

    def _image(self, block: Fields) -> None:
        source = fields(block.get("source")) or fields(block.get("image_url"))
        address = str(source.get("url") or block.get("image_url") or block.get("asset_pointer") or "")
        kind = str(source.get("media_type") or "")
        shown = (
            address[:500] if not address.startswith("data:") and " " not in address else address[5:].partition(";")[0]
        )
        self.write(f"[image{': ' if shown or kind else ''}{(shown or kind)[:500]}]")
        self.draft.not_shown("image")

    # Comparing.

    def begin(self) -> None:
        """Remember where the text of the next record begins."""
        self._since = self.draft.chars
        self.draft.pieces = ["".join(self.draft.pieces)] if len(self.draft.pieces) > 1_000 else self.draft.pieces
        self._pieces = len(self.draft.pieces)

    def compare(self, record: Fields) -> None:
        """Count the texts of a record that were not written since `begin`, each by its field."""
        written = "".join(self.draft.pieces[self._pieces :])
        searched = 0
        for name, value in record.items():
            lost = False
            for text in texts(value):
                searched += len(written)
                if searched > _LONGEST_CHECK:
                    self.draft.lose("a record has too many texts to compare them with what is shown")
                    return
                lost = lost or not (text.strip() in written or json.dumps(text, ensure_ascii=False)[1:-1] in written)
            if lost:
                self.draft.not_shown(f"{name[:60]} field")


def texts(value: object) -> Iterator[str]:
    """Yield the texts in a value that consist of words, those inside of JSON that is a text too."""
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += cast("list[object]", one)
        elif isinstance(one, dict):
            waiting += cast("Fields", one).values()
        elif isinstance(one, str) and not one.startswith("data:"):
            inner = parsed(one) if one[:1] in ("{", "[") else None
            if isinstance(inner, dict | list):
                waiting.append(cast("object", inner))
            elif " " in one.strip() or not one.isascii():
                yield one


def fields(value: object) -> Fields:
    """Return an object's fields; none for any other value."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a list's items; none for any other value."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def parsed(text: str) -> object:
    """Return what JSON says; None for a text that is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return str(value)[:10_000]
