"""Take a model's thoughts off its reply, once, where the reply arrives: what a model thought is never its answer.

Servers hand thoughts over in a field of their own, or leave them in the text: in tags of many names, with the opening
tag in the prompt and only the closing one in the reply, never closed, or in the channels of gpt-oss. Text that mentions
such a tag (in a fenced block, in quotes, in a JSON value) keeps it.
"""

import json
import re
from dataclasses import dataclass
from itertools import islice

from .blocks import BlockFinder
from .fences import fences
from .python_source import SourceJudge

_NAMES = r"(?:(?:mm|seed):)?think|thinking|thought|reasoning"
_TAG = re.compile(rf"<(?P<close>/?)(?P<name>{_NAMES})(?:\s[^<>\n]{{0,100}})?>|\[(?P<end>/?)THINK\]", re.IGNORECASE)
_ELEMENTS = frozenset({"thought", "reasoning"})
"""Names that are words of documents, too."""
_DOCUMENT = re.compile(rf"\s*<(?!(?:{_NAMES})\b)[a-z!?]", re.IGNORECASE)

_CHANNEL = re.compile(
    r"(?:<\|start\|>\w{0,40})?<\|channel\|>(?P<name>\w{1,40})[^<]{0,200}(?:<\|constrain\|>[^<]{0,100})?<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_FINAL_CHANNEL = "<|start|>assistant<|channel|>final<|message|>"

_FIRST_TOKENS = ("<|im_start|>assistant", "<|start_header_id|>assistant<|end_header_id|>", "<bos>")
_LAST_TOKENS = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<|return|>"),
    *("</s>", "<end_of_turn>", "<eos>", "<|end_of_turn|>", "<｜end▁of▁sentence｜>"),
)
"""Tokens of chat templates that servers leave at the ends of replies."""
_MOST_TAGS = 1_000
_WINDOW = 4_096
"""Characters at a time in which white space at the end of a reply is looked for."""
_WORD = re.compile(r"\S")
_QUOTES = frozenset("`'\"“”‘’«»")


@dataclass(frozen=True)
class Spoken:
    """A reply without its thoughts and the tokens of its chat template, and the thoughts."""

    text: str
    thoughts: tuple[str, ...] = ()
    """In order; stripped, and none of them empty."""


def take_off_thoughts(reply: str) -> Spoken:
    """Return the reply's text and its thoughts. Never raises; the cost is linear in the length of `reply`."""
    text = _without_template_tokens(reply)
    if "<|channel|>" in text and (spoken := _channels(text)):
        return spoken
    if _TAG.search(text) is None or _is_json(text):
        return Spoken(text)
    kept: list[str] = []
    thoughts: list[str] = []
    at = 0
    for start, end in _spans(text):
        kept.append(text[at:start])
        thoughts.append(_TAG.sub("", text[start:end]).strip())
        at = end
    before, rest = "".join(kept), text[at:]
    # Between a thought and the answer are empty lines.
    answer = before + rest if before.strip() else rest.lstrip()
    return Spoken(answer, tuple(filter(None, thoughts)))


def _without_template_tokens(text: str) -> str:
    start, end = 0, len(text)
    # `</s>` may be the end of an HTML element.
    tokens = tuple(token for token in _LAST_TOKENS if token != "</s>") if "<s>" in text else _LAST_TOKENS
    while (shorter := _before_token(text, end, tokens)) < end:
        end = shorter
    while (later := _behind_token(text, start)) > start:
        start = later
    return text[start:end]


def _before_token(text: str, end: int, tokens: tuple[str, ...]) -> int:
    """Return where the token begins that `text` ends with before `end`, white space apart; `end` if there is none."""
    last = end
    while space := len(window := text[max(last - _WINDOW, 0) : last]) - len(window.rstrip()):
        last -= space
    token = next((token for token in tokens if text.endswith(token, 0, last)), "")
    return last - len(token) if token else end


def _behind_token(text: str, start: int) -> int:
    word = _WORD.search(text, start)
    first = word.start() if word else len(text)
    token = next((token for token in _FIRST_TOKENS if text.startswith(token, first)), "")
    return first + len(token) if token else start


def _channels(text: str) -> Spoken | None:
    """Return a reply in the channels of gpt-oss (harmony); None when it only mentions them."""
    if not text.lstrip().startswith(("<|channel|>", "<|start|>")):
        before, found, answer = text.partition(_FINAL_CHANNEL)
        # The beginning of the thoughts was in the prompt.
        return Spoken(answer, (_without_markers(before),)) if found and before[-1:] not in _QUOTES else None
    final: list[str] = []
    thoughts: list[str] = []
    for channel in _CHANNEL.finditer(text):
        end = _CHANNEL_END.search(text, channel.end())
        body = text[channel.end() : end.start() if end else len(text)]
        (final if channel["name"] == "final" else thoughts).append(body.strip())
    return Spoken("\n".join(final), tuple(filter(None, thoughts))) if final or thoughts else None


def _without_markers(text: str) -> str:
    return _CHANNEL_END.sub("", text).strip()


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where thoughts begin and end, tags included. A lone closing tag makes everything before it a thought."""
    spans: list[tuple[int, int]] = []
    blocks = _Blocks(text)
    names_of_document = _ELEMENTS if _DOCUMENT.match(text) else frozenset[str]()
    never_closed: set[str] = set()
    at = 0
    for number, tag in enumerate(islice(_TAG.finditer(text), _MOST_TAGS + 1)):
        if number == _MOST_TAGS:
            # No sensible reply has so many; what is behind them might be thought.
            return [*spans, (max(at, tag.start()), len(text))]
        name = (tag["name"] or "").lower()
        if tag.start() < at or name in names_of_document or _is_quoted(text, tag) or blocks.cover(tag):
            continue
        if _closes(tag):
            spans, at = [(0, tag.end())], tag.end()
            continue
        end = None if name in never_closed else _closing(tag).search(text, tag.end())
        if end is None:
            never_closed.add(name)
            if not _begins_line(text, tag.start()):
                continue
        at = end.end() if end else len(text)
        spans.append((tag.start(), at))
        blocks.skip_to(at)
    return spans


def _closes(tag: re.Match[str]) -> bool:
    return bool(tag["close"] or tag["end"])


def _closing(tag: re.Match[str]) -> re.Pattern[str]:
    name = tag["name"]
    return re.compile(rf"</{re.escape(name)}\s*>", re.IGNORECASE) if name else re.compile(r"\[/THINK\]", re.IGNORECASE)


def _begins_line(text: str, place: int) -> bool:
    return not text[text.rfind("\n", 0, place) + 1 : place].strip()


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Return whether a tag is mentioned only: an opening one behind a quote, a closing one between two."""
    behind = text[max(tag.start() - 1, 0) : tag.start()] in _QUOTES
    return behind and (not _closes(tag) or text[tag.end() : tag.end() + 1] in _QUOTES)


class _Blocks:
    """The fenced blocks of a reply. Tags must be asked about in the order of the text."""

    def __init__(self, text: str) -> None:
        self._fences = list(fences(text))
        self._finder = BlockFinder(text, self._fences, truncated=False, judge=SourceJudge())
        self._next = 0
        self._resume = 0
        """The offset from which on the next block may begin."""
        self._code_end = 0

    def skip_to(self, place: int) -> None:
        """Let no block begin before `place`."""
        self._resume = max(self._resume, place)

    def cover(self, tag: re.Match[str]) -> bool:
        """Return whether a tag is inside of a block."""
        while self._next < len(self._fences) and self._fences[self._next].start < tag.start():
            index, self._next = self._next, self._next + 1
            fence = self._fences[index]
            # Text behind a closing fence is taken for the tag of an opening one.
            on_this_line = tag.start() < fence.end and not fence.one_line
            if fence.fence < self._resume or on_this_line or not (block := self._finder.block_at(index)):
                continue
            draft = tag.start() < block.end and _closes(tag) and not block.section.parses
            # A draft whose fence was not closed before its thought was.
            if not draft or block.section.kind == "other":
                self._resume, self._code_end = block.resume, block.end
        return tag.start() < self._code_end
