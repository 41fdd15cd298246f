"""The files that settings name: the JSON Schema of the answer, and instructions."""

import json
import re
from pathlib import Path
from typing import Any

MOST_INSTRUCTIONS = 32_768
"""Characters of the longest `instructions`, which are sent with each turn."""
_MOST_SCHEMA = 10 << 20
"""Bytes of the largest file of a schema."""
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def load_schema(value: Any) -> Any:
    """Read a JSON Schema from the path of a JSON file; leave anything that is not a path to validation."""
    if not isinstance(value, str | Path):
        return value
    try:
        with Path(value).open("rb") as file:
            content = file.read(_MOST_SCHEMA + 1)
        if len(content) > _MOST_SCHEMA:
            raise ValueError(f"the schema {value} is larger than {_MOST_SCHEMA >> 20} MB")
        loaded = json.loads(content)
    except OSError as error:
        raise ValueError(f"cannot read the schema {value}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{value} is not JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{value} is not JSON: {error.reason}") from None
    except RecursionError:
        raise ValueError(f"{value} is nested too deeply") from None
    return loaded


def load_instructions(value: Any) -> Any:
    """Read instructions from a file when a path is given; leave anything that is not a text to validation."""
    if not isinstance(value, str | Path):
        return value
    where, text = ("the text", value) if isinstance(value, str) else (str(value), _read_text(value))
    if text is None or len(text) > MOST_INSTRUCTIONS:
        raise ValueError(f"{where} has more than {MOST_INSTRUCTIONS:,} characters")
    if _NO_TEXT.search(text):
        raise ValueError(f"{where} has control characters, so it is not a text")
    return text


def _read_text(path: Path) -> str | None:
    """Return the text of a file; None when it is certainly longer than instructions may be. Raises ValueError."""
    # A character has at most four bytes, and a byte order mark three.
    most = MOST_INSTRUCTIONS * 4 + 3
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        return None if len(content) > most else content.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8") from None
