"""The secrets in the environment of this process: the values of variables that are named like secrets."""

import os
import re

SHORTEST_SECRET = 8
"""Shorter values of such variables (`TOKENIZERS_PARALLELISM=true`) are words, not secrets."""
_SECRET_NAME = re.compile(r"API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


def secrets_of_environment() -> set[str]:
    """Return the values of the variables that are named like secrets."""
    return {
        value
        for name, given in os.environ.items()
        if _SECRET_NAME.search(name) and len(value := given.strip()) >= SHORTEST_SECRET
    }
