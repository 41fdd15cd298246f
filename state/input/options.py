"""The user's options for reading the input: an encoding, and where the passwords of protected files are."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator

from ..errors import InputError
from ..model_options import ENV
from .encoding_names import known_encoding

FILE = "file:"
_LARGEST = 64 << 10
"""Bytes of a file of passwords that are read."""


def password_places(given: Any) -> Any:
    """Return places of passwords as a tuple. Raises ValueError for one that is no place, without repeating it."""
    places = (given,) if isinstance(given, str) else tuple(cast("Sequence[Any]", given or ()))
    if not all(str(one).startswith((ENV, FILE)) and str(one) not in (ENV, FILE) for one in places):
        raise ValueError("give env:NAME or file:PATH, where a password is, and never the password itself")
    return places


Encoding = Annotated[str, AfterValidator(known_encoding)]
"""The name of an encoding; empty: as each file declares or as it is guessed."""
PasswordPlaces = Annotated[tuple[str, ...], BeforeValidator(password_places)]
"""Places of passwords: `env:NAME`, or `file:PATH` with one password a line."""


def passwords_at(places: Sequence[str]) -> tuple[str, ...]:
    """Return the passwords at these places, in order. Raises InputError for a place without one."""
    return tuple(password for place in places for password in _passwords_at(place))


def _passwords_at(place: str) -> list[str]:
    if name := place.removeprefix(ENV) if place.startswith(ENV) else "":
        if password := os.environ.get(name):
            return [password]
        raise InputError(f"The variable {name} of --password is not set.", hint="Set it, and run this again.")
    path = Path(place.removeprefix(FILE)).expanduser()
    try:
        if not path.is_file():
            raise InputError(f"There is no file {path}, which --password names.")
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"The file {path} of --password cannot be read: {why}.") from error
    if passwords := [line for line in text.splitlines() if line]:
        return passwords
    raise InputError(f"The file {path} of --password is empty.", hint="Write one password a line into it.")
