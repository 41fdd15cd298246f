"""Join items into packs that a model reads well: `chunks`, `pack`, `tokens`."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .chunk import Chunk
from .chunking import By, Measure, chunks_of
from .context import Document
from .variables import quoted


class Packing:
    """The functions that cut and pack for one REPL."""

    def __init__(self, prompt_tokens: int) -> None:
        """`prompt_tokens`: what the sub-model reads well in one prompt."""
        self._prompt_tokens = prompt_tokens

    def names(self) -> dict[str, Any]:
        """Return the functions under the names that code uses."""
        return {"chunks": self.chunks, "pack": self.pack, "tokens": tokens}

    def chunks(
        self, docs: Any, max_chars: int | None = None, max_tokens: int | None = None, by: By = "paragraph"
    ) -> list[Chunk]:
        """Cut documents into chunks that keep their places; joined, those of a document are its text.

        `docs`: `context`, a slice of it, a document, a str, or a list of documents and str. `by`: "heading" (each
        section its own chunks, without its subsections), "paragraph", "record" (rows, lines of JSON, messages; the
        first row of a table is not repeated) or "line". A part that is too large is cut at paragraphs, sentences and
        lines, at last between characters. Without a limit it is what the sub-model reads well. Tokens are estimated.

        A chunk works as a document does: `.text`, `.name`, `.start`, `.end`, `.line`, `.page`, `.place`, `.document`.
        Cuts depend on the content: chunks far from a change of the document stay as they were.
        """
        limit, measure = self._limit(max_chars, max_tokens)
        return chunks_of(docs, limit, measure, by)

    def pack(
        self, items: Iterable[Any], max_tokens: int | None = None, max_chars: int | None = None
    ) -> list[list[Any]]:
        """Return the items in order in lists, each of which fits into a prompt together; a larger item is alone.

        Items are str, documents, chunks or JSON values. Without a limit it is what the sub-model reads well. Cuts
        depend on the content: an item that is inserted changes one or two packs, not all behind it.
        """
        limit, measure = self._limit(max_chars, max_tokens)
        given = listed(items)
        texts = [text_of_item(one) for one in given]
        return packed(given, texts, [measure(text) for text in texts], limit)

    def _limit(self, max_chars: int | None, max_tokens: int | None) -> tuple[int, Measure]:
        if max_chars is not None and max_tokens is not None:
            raise TypeError("max_chars= and max_tokens= are one limit: give one of them")
        name, limit = ("max_tokens", max_tokens) if max_chars is None else ("max_chars", max_chars)
        limit = self._prompt_tokens if limit is None else limit
        if type(limit) is not int or limit < 1:
            raise ValueError(f"{name}= is a whole number from 1 on, not {quoted(limit)}")
        return limit, tokens if max_chars is None else len


def tokens(text: Any) -> int:
    """Estimate the tokens of a text, rather too many than too few, as the run's budget does."""
    from durable_rlm.matching.token_estimate import estimate_tokens

    return estimate_tokens(text_of_item(text))


def listed(items: Iterable[Any]) -> list[Any]:
    """Return the items as a list. Raises TypeError for one text."""
    if isinstance(items, str | Document | bytes | Mapping):
        kind = type(items).__name__
        raise TypeError(f"items are a list, not a {kind}; chunks(…) cuts a text or a document into one")
    return list(items)


def packed(items: list[Any], texts: list[str], sizes: list[int], limit: int) -> list[list[Any]]:
    """Return the items in packs, cut by the texts."""
    from durable_rlm.matching.content_cuts import content_key, cut

    ends = cut(sizes, [content_key(text) for text in texts], limit)
    return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def text_of_item(item: Any) -> str:
    """Return the text with which an item stands in a prompt: its own, or its JSON."""
    if isinstance(item, str | Document):
        return str(item)
    for method in ("model_dump_json", "to_json"):
        write: Callable[[], Any] | None = getattr(item, method, None)
        if callable(write) and isinstance(text := write(), str):
            return text
    if isinstance(text := getattr(item, "text", None), str):
        return text
    try:
        return json.dumps(item, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(item)
