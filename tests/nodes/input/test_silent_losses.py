"""A thousand files with a sentence planted in every part that their formats have: none is lost without a word."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from durable_rlm.nodes.input.draft import Draft, Skipped, Unusable
from tests.nodes.input.corpus import Planted, Sample, corpus
from tests.nodes.input.reading import read

FILES = 1000


def _said(value: Any) -> str:
    """Return the texts among the metadata of a document, such as its title."""
    match value:
        case dict() | list():
            return " ".join(map(_said, cast("dict[str, Any]", value).values() if isinstance(value, dict) else value))
        case _:
            return str(value)


def lost(sample: Sample) -> Iterator[Planted]:
    """Yield the sentences of a file that are neither in its documents nor named by a loss."""
    try:
        found = read(sample.name, sample.data)
    except Unusable as error:
        found = [Skipped("", error.reason, 0)]
    texts = [" ".join(f"{one.text} {_said(one.meta)}".split()) for one in found if isinstance(one, Draft)]
    losses = [loss for one in found for loss in (one.all_losses() if isinstance(one, Draft) else [one.reason])]
    for planted in sample.planted:
        said = planted.loss and any(planted.loss in loss for loss in losses)
        if not said and not any(" ".join(planted.sentence.split()) in text for text in texts):
            yield planted


@pytest.mark.long
def test_no_sentence_of_a_thousand_files_is_lost_silently() -> None:
    samples = list(corpus(FILES))
    assert len(samples) >= FILES and sum(len(sample.planted) for sample in samples) > 3 * FILES
    silent = [(sample.name, one.part, one.sentence) for sample in samples for one in lost(sample)]
    assert silent == []


def test_the_test_itself_finds_a_sentence_that_is_not_there() -> None:
    sample = Sample("a.eml", b"Subject: Hi\n\nBody\n", [Planted("Never written.", "body"), Planted("Body", "body")])
    assert [one.sentence for one in lost(sample)] == ["Never written."]
