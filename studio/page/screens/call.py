"""One call of a run: what was asked, with its passages of the input, the answer, and what became of it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ....graph.call_passages import Passage, Segment, passages_of, segments_of
from ....graph.coverage import source_of_run
from ....state.blobs.text_parts import Piece, TextReader
from ....state.call_lookup import Beginnings, FoundCall, find_call
from ....state.call_records import SCHEMA
from ....state.errors import StoredDataDamaged, StoreError
from ....state.wording import counted
from ..errors import NotThere
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..open_documents import documents_of
from ..plain import text_in_pieces
from ..rendering import address, render
from .document import number_in

PIECE = 40_000
"""Characters of a text that a page shows at once."""
_MOST_OF_JSON = 200_000
_MOST_MESSAGES = 40
_OF_MESSAGE = 6_000


@dataclass(frozen=True)
class ShownText:
    """A text of a call, or a piece of it."""

    text: str = ""
    start: int = 0
    size: int = 0
    damage: str | None = None

    @property
    def end(self) -> int:
        """The character behind the piece."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class PlacedPassage:
    """A passage of the input in a prompt, with its lines as far as they are counted."""

    passage: Passage
    first: int | None
    last: int | None

    @property
    def lines(self) -> str | None:
        """The lines as an address has them."""
        return None if self.first is None else f"{self.first}-{self.last or self.first}"


@dataclass(frozen=True)
class FromInput:
    """The passages of the input that a prompt was cut from."""

    owner: str
    """The run whose input it is."""
    passages: Sequence[PlacedPassage] = ()
    more: int = 0
    segments: Sequence[Segment] = ()
    """The shown piece of the prompt, cut where passages begin and end."""


async def call(request: Request) -> Response:
    """Return the page of a call; that of another key leads to it where only one begins so."""
    home = await home_of(request)
    frame = await framed(home, request, "calls")
    thread = frame["run"]["thread_id"]
    found = await _call(home, thread, request)
    key = found.row.key
    if key != request.path_params["key"]:
        return RedirectResponse(address(request, "runs", thread, "calls", key), 307)
    at = number_in(request.query_params.get("at")) or 0
    row = found.row
    prompt = await _text(home, None if row.damage or found.messages else row.prompt, at)
    answer_at = number_in(request.query_params.get("answer-at")) or 0
    answer = await _text(home, None if row.damage else row.answer, answer_at)
    schema = row.parameters.get(SCHEMA)
    return render(
        request,
        "call.html",
        **frame,
        call=found,
        row=row,
        prompt=prompt,
        cut=await _from_input(request, home, found, prompt) if prompt else None,
        messages=await _messages(home, found),
        more_messages=max(0, len(found.messages) - _MOST_MESSAGES),
        answer=answer,
        answer_json=_parsed(answer),
        thoughts=await _text(home, row.thoughts, 0),
        schema=await _text(home, schema, 0) if isinstance(schema, str) else None,
        parameters={name: json.dumps(value) for name, value in row.parameters.items() if name != SCHEMA},
        tokens=row.tokens + found.below.input_tokens + found.below.output_tokens,
        cost=None if row.cost is None or found.below.cost is None else row.cost + found.below.cost,
        piece=PIECE,
    )


async def _call(home: PageHome, thread: str, request: Request) -> FoundCall:
    """Return the call that a request names. Raises NotThere with what there is."""
    key = str(request.path_params["key"])
    found = await find_call(home.stores.database, thread, key)
    if isinstance(found, FoundCall):
        return found
    raise NotThere(
        f"There is no call {key}." if not found.keys else f"Several calls begin with {key}.",
        await _hint(home, thread, key, found),
    )


async def _hint(home: PageHome, thread: str, key: str, found: Beginnings) -> str:
    if found.keys:
        return f"{', '.join(found.keys)}{' and more' if found.more else ''}."
    turn = number_in(key.partition(":")[0])
    row = await home.stores.turn_rows.one(thread, turn) if turn is not None else None
    if row and not row.damaged:
        return f"Turn {turn} made {counted(row.calls, 'call')}: its keys begin with {turn}:."
    turns = await home.stores.turn_rows.count(thread)
    return f"A key begins with the number of its turn: the run has {counted(turns, 'turn')}."


async def _text(home: PageHome, name: str | None, start: int, most: int = PIECE) -> ShownText | None:
    """Return a piece of a text, or why it cannot be read; None without one."""
    if name is None:
        return None
    try:
        reader = await TextReader.of(home.stores.database, home.stores.blobs, name)
        piece: Piece = await asyncio.to_thread(reader.piece, start, most)
        if piece.start >= piece.size and piece.size:
            piece = await asyncio.to_thread(reader.piece, 0, most)
        return ShownText(piece.text, piece.start, piece.size)
    except StoredDataDamaged as damaged:
        return ShownText(damage=damaged.message)


async def _messages(home: PageHome, found: FoundCall) -> list[tuple[int, str, ShownText | None]]:
    """Return the last messages of a root request, each with its place, its role and its beginning."""
    first = max(0, len(found.messages) - _MOST_MESSAGES)
    return [
        (place, role, await _text(home, name, 0, _OF_MESSAGE))
        for place, (role, name) in enumerate(found.messages[first:], first)
    ]


def _parsed(answer: ShownText | None) -> str | None:
    """Return an answer that is JSON, indented; None for any other text."""
    if answer is None or answer.text.lstrip()[:1] not in ("{", "["):
        return None
    if answer.start or len(answer.text) < answer.size or answer.size > _MOST_OF_JSON:
        return None
    try:
        return json.dumps(json.loads(answer.text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None


async def _from_input(request: Request, home: PageHome, found: FoundCall, prompt: ShownText) -> FromInput | None:
    """Return the passages that a prompt was cut from; None where that is not known or cannot be read."""
    if not found.places or prompt.damage:
        return None
    try:
        source, owner = await source_of_run(home.stores, await home.stores.threads.look(found.thread_id))
        if source is None or source["kind"] == "none":
            return None
        stored = await documents_of(request).input(home, source)
        passages, more = await asyncio.to_thread(passages_of, stored, found.places)
        placed = [await _placed(request, home, stored, one) for one in passages]
        segments = await asyncio.to_thread(segments_of, prompt.text, passages)
        return FromInput(owner, placed, more, segments)
    except (StoreError, OSError):
        return None


async def _placed(request: Request, home: PageHome, stored: Any, passage: Passage) -> PlacedPassage:
    count = await documents_of(request).lines(home, stored, passage.facts)
    first = await asyncio.to_thread(count.lines.line_of, passage.start)
    last = await asyncio.to_thread(count.lines.line_of, passage.end - 1)
    return PlacedPassage(passage, first, last)


async def text(request: Request) -> Response:
    """Return a text of a call whole, as plain text: its prompt, its answer, its thoughts, or a message."""
    home = await home_of(request)
    found = await _call(home, await home.queries.resolve(thread_of(request)), request)
    names = {"prompt": found.row.prompt or None, "answer": found.row.answer, "thoughts": found.row.thoughts}
    part = str(request.path_params["part"])
    place = number_in(part.removeprefix("message-"))
    name = names.get(part) if place is None else dict(enumerate(found.messages)).get(place, ("", None))[1]
    if name is None or found.row.damage:
        raise NotThere(f"This call has no {part}.")
    reader = await TextReader.of(home.stores.database, home.stores.blobs, name)
    chunks = reader.chunks()
    # A damaged text in the database is found at the first chunk, before anything is sent.
    first = await asyncio.to_thread(next, chunks, b"")
    return text_in_pieces(chain([first], chunks))


ROUTES = [Route("/runs/{thread}/calls/{key}", call), Route("/runs/{thread}/calls/{key}/{part}", text)]
