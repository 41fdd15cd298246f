"""Compressed streams, and the files of a tar archive in one."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from tarfile import InvalidHeaderError  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from typing import Any, BinaryIO, Self, cast

from .archive_member import LARGEST_UNPACKED, MOST_MEMBERS, Member

_PIECE = 1 << 20
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}


def compression_of(head: bytes) -> str:
    """Return the compression of a file by its first bytes: `gzip`, `bzip2`, `xz`, or an empty text."""
    return next((name for sign, name in _MAGIC.items() if head.startswith(sign)), "")


def is_tar(block: bytes) -> bool:
    """Return whether a first block is the header of a file in a tar archive, an old one too."""
    if block[257:262] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(block[:512], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


class Unpacked:
    """The unpacked bytes of a compressed file. Damage ends them and is remembered in `error`."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        opened = {
            "gzip": lambda: gzip.GzipFile(fileobj=file),
            "bzip2": lambda: bz2.BZ2File(file),
            "xz": lambda: lzma.LZMAFile(file),  # noqa: SIM115
        }
        self._file: Any = opened[compression]() if compression else file
        self._is_packed = bool(compression)
        self._ahead = b""
        self._left = LARGEST_UNPACKED
        self.damaged_headers = 0
        """Blocks of a tar archive that ought to be headers."""
        self.error = ""
        """The damage of the stream; empty as long as there is none."""

    def peek(self, size: int) -> bytes:
        """Return the next bytes without consuming them."""
        self._ahead = self.read(size)
        return self._ahead

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end, or where the stream is damaged or longer than is unpacked."""
        pieces = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        size -= len(pieces[0])
        while size > 0 and not self.error:
            try:
                # All of a large piece would be lost where it breaks off.
                piece = self._file.read1(min(size, _PIECE)) if self._is_packed else self._file.read(min(size, _PIECE))
            except _BROKEN as error:
                self.error = f"{type(error).__name__}: {str(error)[:100]}"
                break
            if not piece:
                break
            self._left -= len(piece)
            if self._left < 0:
                self.error = f"more than {LARGEST_UNPACKED >> 20} MiB when unpacked"
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class _Header(tarfile.TarInfo):
    """A header of a file. A damaged one is counted, and passed over to the next one that is whole."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Return the next header (`tarfile.TarInfo`)."""
        try:
            return super().fromtarfile(tarfile)
        except InvalidHeaderError:
            cast("Unpacked", cast("Any", tarfile.fileobj).fileobj).damaged_headers += 1
            raise


def tar_members(stream: Unpacked) -> Iterator[Member]:
    """Yield the files of a tar archive; each is to be unpacked before the next one is asked for.

    Raises ReadError when the archive breaks off.
    """
    try:
        # Read as a stream, so that no header can send the reader back to where it was.
        archive = tarfile.open(  # noqa: SIM115
            fileobj=cast("Any", stream), mode="r|", errors="surrogateescape", ignore_zeros=True, tarinfo=_Header
        )
        number = 0
        while (info := archive.next()) and number <= MOST_MEMBERS:
            number += 1
            archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
            if not info.isdir():
                member = Member(info.name, max(0, info.size), _reason(info))
                member.unpack = partial(_unpacked, archive, info, member)
                yield member
    except (tarfile.TarError, ValueError, *_BROKEN) as error:
        raise tarfile.ReadError(stream.error or str(error)[:100]) from error
    if stream.error or stream.damaged_headers:
        raise tarfile.ReadError(stream.error or "a header is damaged; its file is not read")


def _reason(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"a link to {info.linkname[:200]}".encode("utf-8", "replace").decode()
    return "" if info.isreg() else "a device or another special file"


def _unpacked(archive: tarfile.TarFile, info: tarfile.TarInfo, member: Member) -> bytes:
    if info.issparse():
        file = archive.extractfile(info)
        return file.read() if file else b""
    # Not by `extractfile`, which gives nothing of a file that is cut off.
    stream = cast("Any", archive.fileobj)
    stream.seek(info.offset_data)
    data: bytes = stream.read(info.size)
    member.is_whole = len(data) == info.size
    if info.size and not data:
        raise tarfile.ReadError("the archive ends before it")
    return data
