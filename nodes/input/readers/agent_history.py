"""Histories of agents and chats as one transcript: Claude Code, Codex, OpenAI's JSON Lines, LangSmith, ChatGPT.

Every record is shown: messages as they were said, records of unknown kinds as JSON. Codex writes most things twice, as
an item and as an event; the event is shown only if it says something that no item says.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import cast

from ..draft import Draft, GivenFile, Read, Unusable
from ..signatures import history_kind
from .transcript import Fields, Transcript, fields, items, parsed, texts

_LONGEST_RECORD = 64 << 20
"""Bytes of one line."""
_LARGEST_LIST = 128 << 20
_LOOKED_AT = 40
_SESSION_FACTS = ("sessionId", "cwd", "gitBranch", "version", "cli_version", "originator", "model")


def read(given: GivenFile) -> Read:
    """Yield the transcript. Raises Unusable for a file without any record."""
    draft = Draft("agent history")
    kind = history_kind(list(islice(_records(given, Draft("")), _LOOKED_AT))) or "ChatGPT conversations"
    draft.meta["history"] = kind
    write = _WRITERS[kind](given)
    transcript = Transcript(draft)
    for record in _records(given, draft):
        transcript.begin()
        write(transcript, record)
        transcript.compare(record)
    if not draft.chars:
        raise Unusable("a history without any record")
    draft.meta["messages"] = transcript.number
    yield draft


def _records(given: GivenFile, draft: Draft) -> Iterator[Fields]:
    """Yield the objects of a file: one a line, or those of a list. Lines that are no JSON are counted."""
    given.file.seek(0)
    if given.file.read(200).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"[":
        yield from _listed(given)
        return
    given.file.seek(0)
    while line := given.file.readline(_LONGEST_RECORD):
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            draft.not_shown("damaged line")
            draft.write(f"\n[damaged line] {line[:2_000].decode('utf-8', 'replace').strip()}\n")
        else:
            yield record


def _record(line: bytes) -> Fields | None:
    try:
        value: object = json.loads(line.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    return cast("Fields", value) if isinstance(value, dict) else {"value": value}


def _listed(given: GivenFile) -> Iterator[Fields]:
    if given.size > _LARGEST_LIST:
        raise Unusable(f"too large (a list of over {_LARGEST_LIST >> 20} MiB)", "Save it as JSON Lines.")
    given.file.seek(0)
    try:
        found: object = json.loads(given.file.read().decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise Unusable("a damaged list of conversations", f"({type(error).__name__}: {str(error)[:100]})") from error
    for one in items(found):
        yield cast("Fields", one) if isinstance(one, dict) else {"value": one}


_Writer = Callable[[Transcript, Fields], None]


def _claude(given: GivenFile) -> _Writer:
    before = ""

    def write(transcript: Transcript, record: Fields) -> None:
        nonlocal before
        _note(transcript.draft, record)
        message, kind = fields(record.get("message")), str(record.get("type", "record"))
        if "content" in message:
            same = str(message.get("id") or "")
            if not same or same != before:
                sides = [word for word, key in (("sidechain", "isSidechain"), ("meta", "isMeta")) if record.get(key)]
                transcript.head(str(message.get("role", kind)), record.get("timestamp"), *sides)
            before = same
            transcript.body(message)
            return
        before = ""
        transcript.head(kind, record.get("timestamp"), record.get("subtype"))
        said = record.get("summary", record.get("content"))
        if kind in ("summary", "system") and isinstance(said, str):
            transcript.content(said)
        else:
            transcript.value({name: value for name, value in record.items() if name not in _CLAUDE_FACTS})

    return write


_CLAUDE_FACTS = frozenset(
    ("type", "timestamp", "subtype", "uuid", "parentUuid", "sessionId", "cwd", "version", "gitBranch", "userType")
)


def _codex(given: GivenFile) -> _Writer:
    said = {hash(text.strip()) for record in _records(given, Draft("")) for text in _item_texts(record)}

    def write(transcript: Transcript, record: Fields) -> None:
        payload, kind, time = fields(record.get("payload")), str(record.get("type", "")), record.get("timestamp")
        _note(transcript.draft, payload)
        if kind == "response_item":
            _item(transcript, payload, time)
            return
        if kind in ("event_msg", "turn_context"):
            new = [text for text in texts(payload) if hash(text.strip()) not in said]
            if not new:
                # Said by an item, or without words; nothing of it is lost.
                record.clear()
                return
            said.update(hash(text.strip()) for text in new)
        transcript.head(kind.replace("_", " "), time, payload.get("type"))
        spoken = payload.get("message", payload.get("text"))
        if kind == "event_msg" and isinstance(spoken, str) and len(list(texts(payload))) == 1:
            transcript.content(spoken)
        else:
            transcript.value(payload or record)

    return write


def _item_texts(record: Fields) -> Iterator[str]:
    if record.get("type") == "response_item":
        yield from texts(record.get("payload"))


def _item(transcript: Transcript, item: Fields, time: object = "") -> None:
    """Write an item of OpenAI's Responses API."""
    kind = str(item.get("type", ""))
    if kind == "message" or "role" in item:
        transcript.message({**item, "type": ""}, time)
    elif kind == "reasoning":
        transcript.head("assistant", time)
        transcript.thought(item)
    elif kind in ("function_call", "custom_tool_call"):
        transcript.head("assistant", time)
        transcript.call(str(item.get("name", kind)), item.get("arguments", item.get("input")))
    elif kind.endswith("_output"):
        transcript.head("tool", time)
        output = item.get("output")
        inner = fields(parsed(output)) if isinstance(output, str) else fields(output)
        if "output" in inner or "content" in inner:
            transcript.content(inner.get("output", inner.get("content")))
            transcript.value({name: value for name, value in inner.items() if name not in ("output", "content")})
        else:
            transcript.content(output)
    else:
        transcript.head(kind or "item", time)
        transcript.value(item)


def _chats(given: GivenFile) -> _Writer:
    number = 0

    def write(transcript: Transcript, record: Fields) -> None:
        nonlocal number
        number += 1
        label = str(record.get("custom_id") or record.get("title") or f"conversation {number}")[:200]
        _section(transcript, label)
        body = fields(record.get("body")) or fields(fields(record.get("response")).get("body")) or record
        for message in map(fields, items(body.get("messages"))):
            transcript.message(message)
        said = body.get("input", body.get("output"))
        for item in items(said):
            _item(transcript, fields(item) or {"type": "text", "text": item})
        if isinstance(said, str):
            transcript.message({"role": "user", "content": said})
        for choice in map(fields, items(body.get("choices"))):
            transcript.message(fields(choice.get("message")) or {"role": "assistant", "content": choice.get("text")})
        known = ("messages", "input", "output", "choices")
        rest = {name: value for name, value in body.items() if name not in known and any(True for _ in texts(value))}
        if rest or record.get("error"):
            transcript.head("settings")
            transcript.value({**rest, "error": record.get("error")})

    return write


def _runs(given: GivenFile) -> _Writer:
    def write(transcript: Transcript, record: Fields) -> None:
        transcript.head(str(record.get("run_type", "run")), record.get("start_time"), record.get("name"))
        for name in ("inputs", "outputs", "error"):
            if record.get(name):
                transcript.write(f"[{name}]")
                _run_value(transcript, record[name])

    return write


def _run_value(transcript: Transcript, value: object) -> None:
    """Write the input or output of a run: its messages as messages, the rest as fields."""
    rest: Fields = {}
    for name, inner in (fields(value) or {"": value}).items():
        listed = items(inner)
        if len(listed) == 1 and isinstance(listed[0], list):
            listed = items(listed[0])
        messages = [fields(fields(one).get("message")) or fields(one) for one in listed or [inner]]
        if messages and all(_is_message(one) for one in messages):
            for one in messages:
                transcript.message(one)
        else:
            rest[name] = inner
    transcript.value(rest.get("", rest))


def _is_message(value: Fields) -> bool:
    inner = fields(value.get("kwargs")) or fields(value.get("data")) or value
    return "content" in inner and ("role" in value or "type" in value)


def _exported(given: GivenFile) -> _Writer:
    def write(transcript: Transcript, record: Fields) -> None:
        nodes = fields(record.get("mapping"))
        if not nodes:
            transcript.head("record")
            transcript.value(record)
            return
        _section(transcript, str(record.get("title") or "conversation")[:200])
        waiting = [name for name, node in nodes.items() if fields(node).get("parent") not in nodes]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            node = fields(nodes.get(name))
            waiting += [child for child in reversed(items(node.get("children"))) if isinstance(child, str)]
            if message := fields(node.get("message")):
                _exported_message(transcript, message)

    return write


def _exported_message(transcript: Transcript, message: Fields) -> None:
    content = fields(message.get("content"))
    if any(True for _ in texts(content)) or any(part for part in items(content.get("parts"))) or content.get("text"):
        transcript.message({**message, "type": "", "id": ""}, _iso(message.get("create_time")))


def _iso(seconds: object) -> str:
    try:
        return datetime.fromtimestamp(cast("float", seconds), UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def _section(transcript: Transcript, label: str) -> None:
    transcript.draft.write("\n" if transcript.draft.chars else "")
    transcript.draft.mark("sections", label, level=1)
    transcript.write(f"# {label}")


def _note(draft: Draft, record: Fields) -> None:
    for name in _SESSION_FACTS:
        value = record.get(name)
        if isinstance(value, str) and value:
            draft.meta.setdefault(name, value[:500])


_WRITERS: dict[str, Callable[[GivenFile], _Writer]] = {
    "Claude Code session": _claude,
    "Codex session": _codex,
    "chat messages": _chats,
    "LangSmith runs": _runs,
    "ChatGPT conversations": _exported,
}
