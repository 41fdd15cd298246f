"""The size of a prompt that a sub-model reads well."""

from dataclasses import dataclass

ASSUMED_WINDOW = 16_384
"""Tokens that a sub-model is taken to read and write together when its window is not known."""
_MOST_CHARACTERS = 100_000
"""Characters of a sub-prompt beyond which models read less well, whatever their window."""
_MOST_ANSWER = 8_192
"""Tokens of a sub-prompt's window that are left to its answer, at most a quarter of it."""
_CHARACTERS_A_TOKEN = 3


@dataclass(frozen=True)
class SubModel:
    """The model that answers sub-calls, as far as it is known."""

    name: str = ""
    """`provider:name`."""
    window: int | None = None
    """Tokens that it reads and writes together."""

    @property
    def pack(self) -> int:
        """The characters of a sub-prompt that it reads well, with room for its answer."""
        window = self.window or ASSUMED_WINDOW
        room = (window - min(window // 4, _MOST_ANSWER)) * _CHARACTERS_A_TOKEN
        return min(room // 1_000 * 1_000 or room, _MOST_CHARACTERS)

    @property
    def pack_tokens(self) -> int:
        """The same in estimated tokens."""
        return max(1, self.pack // _CHARACTERS_A_TOKEN)
