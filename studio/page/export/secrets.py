"""Takes secrets out of what is exported: those of the environment, and those in the addresses of a run's settings."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from markupsafe import escape

from ....state.blobs.texts import Texts
from ....state.environment_secrets import secrets_of_environment
from ....state.maintenance.scrubbing import Scrubber
from ....state.stores import Stores


def scrubber_for(start: Mapping[str, Any]) -> Scrubber:
    """Return what replaces the secrets that a run started with `start` may have, also where HTML escapes them."""
    secrets = secrets_of_environment()
    scrubber = Scrubber([*secrets, *_escaped(secrets)])
    scrubber.add_from_start(json.dumps(start))
    return scrubber


def _escaped(secrets: Iterable[str]) -> Iterable[str]:
    return (str(escape(secret)) for secret in secrets)


class ScrubbedTexts(Texts):
    """The texts of a home without secrets. Scrubbed before they become HTML, where a secret may stand in pieces."""

    def __init__(self, texts: Texts, scrubber: Scrubber) -> None:
        self._texts = texts
        self._scrubber = scrubber

    async def get(self, name: str) -> str:
        """Return the text without secrets. Raises what `Texts.get` does."""
        text = await self._texts.get(name)
        return self._scrubber.scrub(text.encode("utf-8", "surrogatepass"), "texts").decode("utf-8", "replace")


def without_secrets(stores: Stores, scrubber: Scrubber) -> Stores:
    """Return stores whose texts have no secrets."""
    return replace(stores, texts=ScrubbedTexts(stores.texts, scrubber))
