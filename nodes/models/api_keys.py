"""Find the key of a model in the environment, the only place that keys are taken from."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ...state.errors import ModelSetupError


@dataclass(frozen=True)
class ApiKey:
    """A key and the environment variable that holds it; without a key, the variable that may hold it."""

    name: str
    value: str


def find_key(names: Sequence[str]) -> ApiKey:
    """Return the key in the first of these variables that is set. Raises ModelSetupError for what is no key."""
    found = next((name for name in names if os.environ.get(name, "").strip()), None)
    if found is None:
        return ApiKey(names[-1] if names else "", "")
    value = os.environ[found].strip()
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ModelSetupError(f"{found} holds characters that no key has.", hint="Copy it again.")
    return ApiKey(found, value)
