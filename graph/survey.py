"""Surveys an input: what would be read of it, without a run and without keeping its text."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kernel.host.confined_programs import open_programs
from ..nodes.input.ingest import ReadSoFar
from ..nodes.input.ingest import survey as survey_sources
from ..nodes.input.paths import expand
from ..nodes.models.tokens import estimate_tokens
from ..state.input.extracts import FOLDER, Extracts
from ..state.settings import RunSettings
from .intake import open_extractor, read_options
from .stored_input import with_cost


@dataclass(frozen=True)
class Surveyed:
    """The files of an input as `rlm input --json` prints them, and notes on what was not looked at."""

    files: list[dict[str, Any]]
    notes: list[str]


def survey(
    paths: Sequence[str | Path],
    settings: RunSettings,
    home: Path,
    on_progress: Callable[[ReadSoFar], None] = lambda so_far: None,
    *,
    keep: bool,
    stop: threading.Event | None = None,
) -> Surveyed:
    """Read the files that `paths` name, as a run with these settings would read them.

    Synchronous and long. With `keep`, extracted texts are taken from `home` and kept there: not for a home that the
    user has not agreed to, whose texts may be forged. Raises InputError, and IngestStopped once `stop` is set.
    """
    stop = stop or threading.Event()
    sources = expand(paths, exclude=[home], hidden=settings.hidden, cancelled=stop.is_set)
    with open_extractor(open_programs, settings, home, Extracts(home / FOLDER) if keep else None) as extractor:
        reports = survey_sources(
            sources,
            extractor,
            options=read_options(settings),
            tokens=estimate_tokens,
            progress=on_progress,
            cancelled=stop.is_set,
        )
    return Surveyed([with_cost(one, settings) for one in reports], sources.notes.counted())
