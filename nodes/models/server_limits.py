"""Learn a server's limits on tokens from the words with which it refuses a request.

Servers do not lower an output limit that is too large, they refuse it: beyond the range that a model allows, beyond
what its window leaves behind the prompt, or beyond what the account can pay.
"""

import re
from dataclasses import dataclass

_ABOUT_OUTPUT = re.compile(
    r"max(imum)?[_ ](completion[_ ]|output[_ ]|new[_ ])?tokens|(completion|output) tokens|afford|can be paid",
    re.IGNORECASE,
)
_WINDOW = re.compile(
    r"(?:context (?:length|window|size)|n_ctx|maximum (?:sequence |model )?length)[^\d]{0,40}(\d[\d,]*)", re.IGNORECASE
)
_NUMBER = re.compile(r"\d[\d,]*")
_MOST_DIGITS = 16
_MARGIN = 64
"""Tokens by which servers count prompts differently from one request to the next, at most."""
_LEAST = 256
"""Tokens of the smallest limit that is believed: servers repeat texts of documents in their errors."""
_LEAST_WINDOW = 1_024


def window_in(said: str) -> int | None:
    """Return the window of tokens that a server's words name, or None."""
    found = _WINDOW.search(said)
    return int(found[1].replace(",", "")) if found and len(found[1]) < _MOST_DIGITS else None


@dataclass
class ServerLimits:
    """The known limits of a server: tokens of output, and of prompt and output together; None: nothing."""

    output: int | None = None
    window: int | None = None
    _prompt_ratio: float = 1.0
    """The server's count of a prompt, divided by our estimate of it."""

    def fitting(self, wanted: int, prompt: int) -> int:
        """Return the output limit to ask for: `wanted`, or what the server allows behind a prompt of that estimate."""
        limit = wanted if self.output is None else min(wanted, self.output)
        if self.window is not None:
            limit = min(limit, self.window - round(prompt * self._prompt_ratio) - _MARGIN)
        return limit if limit >= _LEAST else min(wanted, _LEAST)

    def learn(self, said: str, asked: int, prompt: int) -> bool:
        """Take the limits from the words of a refusal. Return whether a request that now fits can be made.

        `asked` is the output limit that was sent, `prompt` the estimate of the prompt's tokens.
        """
        before = self.fitting(asked, prompt)
        numbers = [
            int(number.replace(",", "")) for number in _NUMBER.findall(said[:2_000]) if len(number) < _MOST_DIGITS
        ]
        if window := window_in(said):
            if not self._learn_window(window, numbers, asked, prompt):
                return False
        elif _ABOUT_OUTPUT.search(said):
            smaller = [number for number in numbers if _LEAST <= number < asked]
            self.output = max(smaller, default=self.output)
        return self.fitting(asked, prompt) < before

    def _learn_window(self, window: int, numbers: list[int], asked: int, prompt: int) -> bool:
        """Note the window, and how the server counts the prompt if it says so. Return whether the prompt fits."""
        summed = [number for number in numbers if number and number + asked in numbers]
        smaller = [number for number in numbers if 0 < number < window and number != asked]
        beyond = [number for number in numbers if number > window]
        counted = max(summed or beyond or smaller, default=prompt)
        if window - counted - _MARGIN < _LEAST:
            # Believed if the server also says what is too much for it: errors may quote documents.
            if window >= _LEAST_WINDOW and beyond:
                self.window = window
            return False
        self.window = window
        if prompt:
            self._prompt_ratio = max(self._prompt_ratio, counted / prompt)
        return True
