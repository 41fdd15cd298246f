"""The settings of a group of RTF, and the marks that its words get by them."""

from typing import NamedTuple

from .facts import Facts, packed_date
from .text import Mark


class Group(NamedTuple):
    """The settings of a group, which the groups inside of it inherit."""

    role: str = "text"
    """`text` is written; `skip` is not; other roles gather it under a name."""
    uc: int = 1
    codec: str = ""
    """Empty for the file's own encoding."""
    hidden: bool = False
    struck: bool = False
    change: str = ""
    """`-` in deleted text, `+` in inserted text."""
    author: int = -1
    when: int = 0
    in_table: bool = False
    level: int = 0
    owner: int = 0
    """The group that began the role, counted from the outermost."""


def marks_of(group: Group, facts: Facts) -> tuple[Mark, ...]:
    """Return the marks around words of a group."""
    if not (group.hidden or group.struck or group.change):
        return ()
    marks = [Mark("[hidden: ")] if group.hidden else []
    if group.change:
        author = facts.author(group.author)
        day = packed_date(str(group.when)).partition("T")[0]
        by = (f" by {author}" if author else "") + (f"{',' * bool(author)} {day}" if day else "")
        marks.append(Mark(f"[{group.change}", f"{group.change}{by}]"))
    elif group.struck:
        marks.append(Mark("[struck: "))
    return tuple(marks)
