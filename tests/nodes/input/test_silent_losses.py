"""A thousand files with a sentence planted in every part that their formats have: none is lost without a word."""

import pytest

from tests.nodes.input.corpus import Planted, Sample, corpus
from tests.nodes.input.corpus.silent import lost

FILES = 1000


@pytest.mark.long
def test_no_sentence_of_a_thousand_files_is_lost_silently() -> None:
    samples = list(corpus(FILES))
    assert len(samples) >= FILES and sum(len(sample.planted) for sample in samples) > 3 * FILES
    assert [(sample.name, part) for sample in samples for part in lost(sample)] == []


def test_the_judge_finds_a_sentence_that_is_not_there() -> None:
    sample = Sample("a.eml", b"Subject: Hi\n\nBody\n", [Planted("Never written.", "end"), Planted("Body", "body")])
    assert lost(sample) == ["end"]
