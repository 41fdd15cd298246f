"""The judge of the corpus: planted sentences that are neither shown nor named as lost."""

import json

from durable_rlm.nodes.input.draft import Draft, Skipped
from tests.nodes.input.corpus import Sample


def silently_lost(sample: Sample, found: list[Draft | Skipped]) -> list[str]:
    """Return the parts of a sample whose sentence is in no text, metadata or place, and in no loss."""
    drafts = [one for one in found if isinstance(one, Draft)]
    facts = [json.dumps([one.meta, one.places], ensure_ascii=False) for one in drafts]
    shown = " ".join(" ".join([*(one.text for one in drafts), *facts]).split())
    said = " ".join(loss for one in drafts for loss in one.all_losses())
    said += " ".join(f"{one.name} {one.reason}" for one in found if isinstance(one, Skipped))
    return [
        planted.part
        for planted in sample.planted
        if planted.sentence not in shown and not (planted.loss and planted.loss in said)
    ]
