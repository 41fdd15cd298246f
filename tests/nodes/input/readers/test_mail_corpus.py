"""No sentence in mail, Outlook items or RTF is lost without a word."""

import json
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Draft

from ..corpus import Sample, Samples, mail, outlook, rtf
from ..reading import read


def silently_lost(sample: Sample) -> list[str]:
    """Return the parts whose sentences are neither in a text nor behind a loss."""
    texts: list[str] = []
    losses: list[str] = []
    for one in read(sample.name, sample.data):
        if isinstance(one, Draft):
            texts += [" ".join(one.text.split()), json.dumps(one.meta, ensure_ascii=False)]
            losses += one.all_losses()
        else:
            losses.append(f"{one.name} {one.reason}")
    everything, said = "\n".join(texts), " ".join(losses)
    return [
        planted.part
        for planted in sample.planted
        if planted.sentence not in everything and not (planted.loss and planted.loss in said)
    ]


@pytest.mark.parametrize("samples", [mail.samples, outlook.samples, rtf.samples])
def test_no_sentence_is_lost_silently(samples: Samples) -> None:
    for seed in range(40):
        for sample in samples(Random(seed)):
            assert not silently_lost(sample), (seed, sample.name)
