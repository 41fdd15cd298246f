"""Keep the root's history bounded: a root request has a limited size, however long the run is.

Recent turns are whole, older ones shortened, the oldest only counted; the REPL's `history` has them all. Turn 500 costs
what turn 20 does. The boundary between whole and short moves in steps, so that between the steps a request only adds to
the one before, and the servers' prompt caches hold its beginning.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..models.provider_protocol import Message
from ..runtime.turns import short_form
from ..runtime.untrusted_text import cut_output, shortened
from .observation import OUTPUT_LIMIT, Turn, TurnStatus, notices, observation

__all__ = [
    "Needed",
    "ShortTurn",
    "Turn",
    "build_messages",
    "cut_output",
    "needed_turns",
    "notices",
    "observation",
]

STEP = 8
"""Turns by which the boundary between whole and short moves; STEP to 2 x STEP - 1 turns are whole."""
_SHORT_TURNS = 24
_REPLY_LIMIT = 10_000
_APART_LIMIT = 1_000
_APART_RESERVE = 6_000
_NOTICES_RESERVE = 1_000
_FLOOR = 32_000
_LEAST_ROOM = 3_000
_AMPLE = 60_000
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ShortTurn:
    """A turn of which only the short form is loaded."""

    number: int
    code: str = ""
    output: str = ""
    status: TurnStatus = "none"


@dataclass(frozen=True)
class Needed:
    """The turns that the next request can show, by number; of all others only the status is needed."""

    whole: tuple[int, ...]
    short: tuple[int, ...]


def needed_turns(count: int, last_code: int | None = None) -> Needed:
    """Return what to load for the request after turn `count`, turns being numbered 1, 2, 3 … `count`.

    `last_code`: the last turn whose reply had code. It is needed whole wherever it is.
    """
    start = _boundary(count)
    whole = list(range(start, count + 1))
    if last_code is not None and 1 <= last_code < start:
        whole.insert(0, last_code)
    short = tuple(number for number in range(max(1, start - _SHORT_TURNS), start) if number != last_code)
    return Needed(tuple(whole), short)


def _boundary(count: int) -> int:
    """Return the first turn that is shown whole after turn `count`."""
    return max((count - STEP) // STEP * STEP, 0) + 1


def build_messages(
    system: str,
    first: str,
    turns: Sequence[Turn | ShortTurn],
    *,
    tail: str = "",
    limit: int = 120_000,
    room: int | None = None,
) -> list[Message]:
    """Return the messages of the next root request: system, user, assistant, user, … and always a user message last.

    `first`, which holds the question, and the last reply that had code are there verbatim, whatever their length.
    Everything together stays within `limit` characters; where what must be verbatim leaves less than 32,000 of them,
    within 32,000 more than that. At most 34 messages. `room`: characters for the turns, in place of the limit, for a
    model that reads less.

    `turns` are in order, without gaps; those outside `needed_turns` may be ShortTurn. `tail` (budget, convergence, last
    turn) ends the last message. Lone surrogates become U+FFFD, so that it can be sent.
    """
    anchor = next((turn for turn in reversed(turns) if isinstance(turn, Turn) and turn.code), None)
    fixed = len(system) + len(first) + len(tail) + (len(anchor.reply) if anchor else 0)
    fit = _Fit(max(limit - fixed, _FLOOR) if room is None else max(room, _LEAST_ROOM), anchor)
    start = fit.first_whole(turns)
    older, whole = turns[:start], [turn for turn in turns[start:] if isinstance(turn, Turn)]

    opening = [first, *fit.earlier(older)]
    if not whole:
        return _sendable([("system", system), ("user", "\n\n".join([*opening, tail] if tail else opening))])
    messages = [("system", system), ("user", "\n\n".join(opening))]
    if anchor is not None and not any(turn is anchor for turn in whole):
        messages += [("assistant", anchor.reply), ("user", fit.observation_apart(anchor, whole[0]))]
    for turn in whole[:-1]:
        messages += [("assistant", fit.reply(turn)), ("user", fit.observation(turn))]
    last, recent = whole[-1], [turn for turn in turns[-STEP:] if isinstance(turn, Turn)]
    previous = recent[-2] if len(recent) > 1 else None
    ending = [fit.observation(last, previous=previous, latest=True), *notices(recent)]
    messages += [("assistant", fit.reply(last)), ("user", "\n\n".join([*ending, tail] if tail else ending))]
    return _sendable(messages)


class _Fit:
    """The amount of each turn that is shown, for a request that has `room` characters for its turns."""

    def __init__(self, room: int, anchor: Turn | None) -> None:
        self.room = room
        self.anchor = anchor
        # Constant while there is room, so that a turn reads the same in every request.
        self.output_limit = OUTPUT_LIMIT if room >= _AMPLE else room // 6
        self.reply_limit = _REPLY_LIMIT if room >= _AMPLE else room // 8

    def reply(self, turn: Turn) -> str:
        """Return the turn's reply as an assistant message: verbatim for the last one with code, else cut when long."""
        if turn is self.anchor:
            return turn.reply
        return shortened(turn.reply, self.reply_limit) if len(turn.reply) > self.reply_limit else turn.reply

    def observation(self, turn: Turn, *, previous: Turn | None = None, latest: bool = False) -> str:
        """Return the turn's observation as a user message."""
        return observation(turn, previous=previous, latest=latest, limit=self.output_limit)

    def observation_apart(self, turn: Turn, following: Turn) -> str:
        """Return the observation of the last turn with code, when turns between it and `following` are left out."""
        between = following.number - turn.number - 1
        skipped = f"\n\n[{between:,} later turns without code are left out here.]" if between > 0 else ""
        return observation(turn, latest=False, limit=_APART_LIMIT) + skipped

    def first_whole(self, turns: Sequence[Turn | ShortTurn]) -> int:
        """Return the index of the first turn shown whole: at the boundary, or later where the room does not suffice.

        The newest turn is always whole. When the room decides, the index moves in steps too.
        """
        boundary = _boundary(len(turns)) - 1
        left, index = self.room * 3 // 4 - min(_APART_RESERVE, self.room // 4), len(turns)
        while index > boundary:
            turn = turns[index - 1]
            if not isinstance(turn, Turn):
                break
            newest = index == len(turns)
            left -= len(self.observation(turn, latest=newest)) + _NOTICES_RESERVE * newest
            left -= 0 if turn is self.anchor else len(self.reply(turn))
            if left < 0 and not newest:
                break
            index -= 1
        stepped = -(-index // 4) * 4
        return stepped if index > boundary and stepped < len(turns) - 1 else index

    def earlier(self, older: Sequence[Turn | ShortTurn]) -> list[str]:
        """Return what is shown of the turns before the whole ones: the nearest shortened, the rest counted."""
        if not older:
            return []
        left = self.room // 4 - min(800, self.room // 8)
        lines: list[str] = []
        for turn in reversed(older[-_SHORT_TURNS:]):
            line = _in_short(turn)
            left -= len(line) + 2
            if left < 0:
                break
            lines.append(line)
        counted = older[: len(older) - len(lines)]
        head = "# Earlier turns, shortened (`history` in the REPL has all of them whole)"
        return [head, *([_digest(counted)] if counted else []), *reversed(lines)]


def _in_short(turn: Turn | ShortTurn) -> str:
    short: Mapping[str, str]
    short = (
        short_form(turn.output or "", turn.code)
        if isinstance(turn, Turn)
        else {"code": turn.code, "output": turn.output}
    )
    code, output = (short.get(key, "").replace("\n", "\n    ") for key in ("code", "output"))
    parts = [f"Turn {turn.number} ({turn.status if turn.status != 'none' else 'no code'})"]
    parts += [f"  code:\n    {code}"] if code else []
    parts += [f"  output:\n    {output}"] if output else []
    return "\n".join(parts)


def _digest(turns: Sequence[Turn | ShortTurn]) -> str:
    ended = Counter(turn.status for turn in turns)
    counts = {
        "ran": ended["ok"],
        "ended in an error": ended["error"],
        "were stopped": ended["timeout"] + ended["died"],
        "had no code": ended["none"],
    }
    parts = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f"Turns {turns[0].number:,} to {turns[-1].number:,} are left out: {parts}."


def _sendable(messages: Sequence[tuple[str, str]]) -> list[Message]:
    sendable = [(role, _SURROGATE.sub("\ufffd", text)) for role, text in messages]
    # Servers refuse empty messages, and a reply may be one.
    return [{"role": role, "content": text if text.strip() else "(empty)"} for role, text in sendable]
