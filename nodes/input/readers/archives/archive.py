"""Archives as folders: each file inside is read by the reader of its own format. A compressed file is the file itself.

Sizes are capped while unpacking, whatever an archive declares. What is damaged costs its own file; names are shown
without `..`, links and devices are not followed, hidden files are left out and counted. An Office file or a book under
another name is read as what it is.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from .....state.wording import counted
from ...draft import Draft, GivenFile, Read, Skipped, Unusable
from ...formats import format_of
from ...signatures import ZIP, package_suffix
from .archive_member import (
    DAMAGED,
    LARGEST_MEMBER,
    LARGEST_UNPACKED,
    MOST_MEMBERS,
    Member,
    hidden_part,
    shown_name,
)
from .archive_tar import Unpacked, compression_of, is_tar, tar_members
from .archive_zip import zip_head, zip_members

_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz)$", re.IGNORECASE)
_MOST_HIDDEN = 1_000


def read(given: GivenFile) -> Read:
    """Yield the documents of every file in the archive. Raises Unusable for one of which nothing can be unpacked."""
    head = given.file.read(512)
    given.file.seek(0)
    compression = compression_of(head)
    if head.startswith(ZIP) or given.name.lower().endswith(".zip"):
        yield from _zip(given)
    elif compression:
        yield from _compressed(given, compression)
    elif is_tar(head):
        yield from _members(given, tar_members(Unpacked(given.file, "")))
    else:
        raise Unusable("a damaged archive")


def read_members(given: GivenFile) -> Read:
    """Yield the documents of every file in a ZIP, such as a book that is damaged. Raises as `read`."""
    given.file.seek(0)
    yield from _members(given, zip_members(given))


def _zip(given: GivenFile) -> Read:
    suffix = package_suffix(*zip_head(given.file))
    form = format_of(f"package{suffix}", b"") if suffix else None
    if form and form.unread:
        raise Unusable(form.unread)
    if form and form.reader:
        yield from form.load()(given)
    else:
        yield from read_members(given)


def _compressed(given: GivenFile, compression: str) -> Read:
    stream = Unpacked(given.file, compression)
    if is_tar(stream.peek(512)):
        yield from _members(given, tar_members(stream))
        return
    name = _COMPRESSED.sub("", given.name) or given.name
    data = stream.read(LARGEST_MEMBER + 1)
    if len(data) > LARGEST_MEMBER:
        raise Unusable(f"too large when unpacked (over {LARGEST_MEMBER >> 20} MiB)", "Unpack it and give the file.")
    if not data and stream.error:
        raise Unusable(f"damaged ({stream.error})")
    for one in given.nested(name, data, ""):
        inside = one.name.removeprefix(name).lstrip("/")
        if isinstance(one, Skipped):
            if not inside:
                raise Unusable(one.reason, one.hint)
            yield replace(one, name=inside)
            continue
        one.name = inside
        one.meta["compression"] = compression
        if stream.error:
            one.lose(DAMAGED)
        yield one


def _members(given: GivenFile, members: Iterable[Member]) -> Read:
    unpacked = 0
    hidden: dict[str, tuple[int, int]] = {}
    for number, member in enumerate(members):
        if number >= MOST_MEMBERS:
            yield Skipped("", f"more than {MOST_MEMBERS:,} files in it; the others are not read", 0)
            break
        name = shown_name(member.name) or "without a name"
        if part := hidden_part(name):
            part = part if part in hidden or len(hidden) < _MOST_HIDDEN else "other hidden files"
            count, size = hidden.get(part, (0, 0))
            hidden[part] = (count + 1, size + member.size)
            continue
        data, problem = _data(member, LARGEST_UNPACKED - unpacked)
        if problem or data is None:
            yield replace(problem, name=name) if problem else Skipped(name, "damaged", member.size)
            continue
        unpacked += len(data)
        for one in given.nested(name, data, ""):
            if isinstance(one, Draft) and not member.is_whole:
                one.lose(DAMAGED)
            yield one
    for part, (count, size) in hidden.items():
        yield Skipped(part, f"hidden ({counted(count, 'file')})", size)


def _data(member: Member, left: int) -> tuple[bytes | None, Skipped | None]:
    """Return a file's bytes, or why it is skipped. `left`: the bytes that may still be unpacked."""

    def skipped(reason: str, hint: str = "") -> tuple[None, Skipped]:
        return None, Skipped("", reason, member.size, hint)

    if member.reason:
        return skipped(member.reason)
    if member.size > LARGEST_MEMBER:
        return skipped(f"too large when unpacked (over {LARGEST_MEMBER >> 20} MiB)", "Unpack the archive.")
    if member.size > left:
        return skipped(f"beyond {LARGEST_UNPACKED >> 20} MiB of unpacked files", "Unpack the archive.")
    try:
        return member.unpack(), None
    except Unusable as error:
        return skipped(error.reason, error.hint)
    except MemoryError:
        raise
    except Exception as error:  # hostile bytes
        return skipped(f"damaged ({type(error).__name__}: {str(error)[:100]})")
