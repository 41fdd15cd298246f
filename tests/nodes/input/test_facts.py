"""A reader process's words about documents are shown as one line, and none of them is dropped silently."""

import io
import json
from typing import Any

from durable_rlm.nodes.input.facts import ExtractedDocument, SkippedInside, facts_of


def told(**changed: Any) -> ExtractedDocument | SkippedInside:
    """Return one fact as it is believed."""
    fact = {"name": "a.txt", "start": 0, "end": 0, "chars": 0, "meta": {}, "places": {}, "losses": []}
    [one] = facts_of(io.BytesIO(json.dumps({**fact, **changed}).encode() + b"\n"))
    return one


def test_words_with_line_ends_and_lone_surrogates_are_one_line_of_unicode() -> None:
    document = told(name="a\nb.txt", losses=["page 1\n| forged note\ud800"])
    assert isinstance(document, ExtractedDocument)
    assert (document.name, document.losses) == ("a\ufffdb.txt", ["page 1\ufffd| forged note\ufffd"])
    skipped = told(skipped="bad\x1b[31m", hint="", bytes=1)
    assert isinstance(skipped, SkippedInside) and skipped.reason == "bad\ufffd[31m"


def test_more_losses_than_are_kept_are_counted() -> None:
    document = told(losses=[f"page {number} lost" for number in range(1_234)])
    assert isinstance(document, ExtractedDocument)
    assert (len(document.losses), document.losses[-1]) == (1_001, "and 234 more losses")
