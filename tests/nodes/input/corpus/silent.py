"""The judge of the corpus: planted sentences that are neither shown nor named as lost."""

import json
from collections.abc import Sequence

from durable_rlm.nodes.input.draft import Draft, Skipped, Unusable
from tests.nodes.input.corpus import Sample
from tests.nodes.input.reading import read


def lost(sample: Sample) -> list[str]:
    """Read a sample, and return the parts whose sentence is in no text, metadata or place, and in no loss."""
    try:
        return silently_lost(sample, read(sample.name, sample.data))
    except Unusable as error:
        return silently_lost(sample, [Skipped("", error.reason, 0)])


def silently_lost(sample: Sample, found: Sequence[Draft | Skipped]) -> list[str]:
    """Return the parts of a sample whose sentence is nowhere in what was `found`, and in no loss."""
    drafts = [one for one in found if isinstance(one, Draft)]
    facts = [json.dumps([one.meta, one.places], ensure_ascii=False) for one in drafts]
    shown = " ".join(" ".join([*(one.text for one in drafts), *facts]).split())
    said = " ".join(loss for one in drafts for loss in one.all_losses())
    said += " ".join(f"{one.name} {one.reason}" for one in found if isinstance(one, Skipped))
    return [
        planted.part
        for planted in sample.planted
        if " ".join(planted.sentence.split()) not in shown and not (planted.loss and planted.loss in said)
    ]
