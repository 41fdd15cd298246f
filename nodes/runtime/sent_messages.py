"""Store the messages of a run's root requests as they are sent: each text once, although most are sent every turn."""

from collections.abc import Sequence

from ...state.blobs.texts import Texts
from ..models.provider_protocol import Message


class SentMessages:
    """The messages of the latest root request, with the hashes of their texts."""

    def __init__(self) -> None:
        self._hashes: dict[str, str] = {}

    async def stored(self, messages: Sequence[Message], texts: Texts) -> list[tuple[str, str]]:
        """Store the texts that the request before did not have. Return each message's role and hash."""
        hashes: dict[str, str] = {}
        for message in messages:
            text = message["content"]
            hashes[text] = self._hashes.get(text) or await texts.put(text)
        self._hashes = hashes
        return [(message["role"], hashes[message["content"]]) for message in messages]
