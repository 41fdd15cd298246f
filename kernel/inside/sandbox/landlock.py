"""Landlock: restricts the files that this process can reach. https://docs.kernel.org/userspace-api/landlock.html"""

import os
import struct
from collections.abc import Iterable

from .syscalls import call, checked, no_new_privileges

_CREATE, _ADD_RULE, _RESTRICT = (f"landlock_{name}" for name in ("create_ruleset", "add_rule", "restrict_self"))
_VERSION = 1
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_READING = _EXECUTE | _READ | _READ_DIR
_ACCESS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Access rights that each version of the interface controls."""
_NETWORK_FROM, _SCOPES_FROM = 4, 6
_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def version() -> int:
    """Return the Linux kernel's version of the interface, or 0 when it has none."""
    return max(call(_CREATE, None, 0, _VERSION), 0)


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Restrict this process to reading below `read` and any access below `write`. Raises OSError.

    It can also bind and connect no TCP socket (from version 4 on), and connect to no abstract socket and signal no
    process outside (from version 6 on).
    """
    known = version()
    access = _ACCESS[max(1, min(known, 5))]
    fields = [access]
    if known >= _NETWORK_FROM:
        fields.append(_BIND_AND_CONNECT)
    if known >= _SCOPES_FROM:
        fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    ruleset = checked(call(_CREATE, attributes, len(attributes), 0), "Landlock")
    try:
        for path in read:
            _allow(ruleset, path, _READING & access)
        for path in write:
            _allow(ruleset, path, access)
        no_new_privileges()
        checked(call(_RESTRICT, ruleset, 0), "Landlock")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        rule = struct.pack("<Qi", access, place)
        checked(call(_ADD_RULE, ruleset, 1, rule, 0), f"Landlock {path}")
    finally:
        os.close(place)
