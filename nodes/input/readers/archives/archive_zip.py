"""The files of a ZIP archive, and what can be saved of one that was cut off or is damaged."""

import stat
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from ...draft import GivenFile, Unusable
from .archive_member import LARGEST_MEMBER, MOST_MEMBERS, Member

_LARGEST_DIRECTORY = 64 << 20
"""Bytes of the list of files, of which Python makes ten times as much."""
_LARGEST_SALVAGED = 256 << 20
_TAIL = 66_000
_PIECE = 1 << 16
_STEP = 1 << 16
_LOCAL = struct.Struct("<4s5H3L2H")
_SIGN = b"PK\x03\x04"
_METHODS = {
    1: "shrunk",
    6: "imploded",
    9: "Deflate64",
    93: "Zstandard",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
_AES = 99


def zip_members(given: GivenFile) -> Iterator[Member]:
    """Yield the files of an archive in its order, those of a damaged one as far as they are found.

    Raises Unusable for one with too many files, BadZipFile at the end of a damaged one.
    """
    _check_directory(given.file, given.size)
    try:
        archive = ZipFile(given.file)
    except (BadZipFile, ValueError, OSError, NotImplementedError, struct.error):
        yield from _salvaged(given.file)
        return
    packed = 0
    for info in archive.infolist()[: MOST_MEMBERS + 1]:
        if info.is_dir() or info.filename.endswith("\\"):
            continue
        member = Member(_name(info), info.file_size)
        packed += info.compress_size
        if packed > given.size:
            # Files that share their bytes: a small archive of this kind unpacks to any size.
            member.reason = "overlaps other files of the archive"
        else:
            member.reason = _reason(info)
        member.unpack = partial(_unpacked, archive, info, given.options.passwords, member)
        yield member


def zip_head(file: BinaryIO) -> tuple[list[str], str]:
    """Return the names of an archive's files and the media type that its first file may state; nothing if damaged."""
    try:
        archive = ZipFile(file)
        names = archive.namelist()[:MOST_MEMBERS]
        media_type = ""
        if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
            media_type = archive.read("mimetype").decode("ascii", "replace").strip()
    except Exception:  # a damaged archive may raise anything
        return [], ""
    finally:
        file.seek(0)
    return names, media_type


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a list of files that is too large. Raises Unusable."""
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    file.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    listed = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if listed == 0xFFFFFFFF and (large := tail.rfind(b"PK\x06\x06")) >= 0:
        listed = int.from_bytes(tail[large + 40 : large + 48], "little")
    if listed > _LARGEST_DIRECTORY:
        raise Unusable(f"too large (over {MOST_MEMBERS:,} files)", "Unpack it and give the folder.")


def _name(info: ZipInfo) -> str:
    """Return a file's name. Many programs write UTF-8 without saying so, which Python decodes as code page 437."""
    if info.flag_bits & 0x800 or info.orig_filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _reason(info: ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.create_system == 3 and mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
    if info.compress_type == _AES:
        return "password-protected (AES), which is not supported"
    if info.compress_type in _METHODS:
        return f"compressed by a method that is not supported ({_METHODS[info.compress_type]})"
    return ""


def _unpacked(archive: ZipFile, info: ZipInfo, passwords: tuple[str, ...], member: Member) -> bytes:
    if not info.flag_bits & 1:
        return _read(archive, info, None, member)
    for password in passwords:
        try:
            return _read(archive, info, password.encode(), Member("", 0))
        except (RuntimeError, BadZipFile, zlib.error):
            # One wrong password in 256 passes the first check, and gives bytes that cannot be unpacked.
            continue
    hint = "" if passwords else "Give its password by --password env:NAME or file:PATH."
    raise Unusable("password-protected" if not passwords else "password-protected (no password fits)", hint)


def _read(archive: ZipFile, info: ZipInfo, password: bytes | None, member: Member) -> bytes:
    """Return a file's bytes; the first part of a damaged one, if it is not protected."""
    pieces: list[bytes] = []
    try:
        with archive.open(info, pwd=password) as file:
            if password is None:
                # Else the last piece of a file with a wrong checksum could not be had.
                vars(file)["_expected_crc"] = None
            while piece := file.read(_PIECE):
                pieces.append(piece)
    except (BadZipFile, zlib.error, EOFError, OSError, ValueError):
        if password is not None or not pieces:
            raise
        member.is_whole = False
    data = b"".join(pieces)
    member.is_whole = member.is_whole and zlib.crc32(data) == info.CRC
    return data


def _salvaged(file: BinaryIO) -> Iterator[Member]:
    """Yield the files that begin with a header of their own, without the list at the end, which is missing."""
    file.seek(0)
    data = file.read(_LARGEST_SALVAGED)
    at = data.find(_SIGN)
    found = False
    while 0 <= at <= len(data) - _LOCAL.size:
        _, _, flags, method, _, _, _, packed, size, name_size, extra = _LOCAL.unpack_from(data, at)
        begin = at + _LOCAL.size + name_size + extra
        raw = data[at + _LOCAL.size : at + _LOCAL.size + name_size]
        name = raw.decode("utf-8" if flags & 0x800 or raw.isascii() else "cp437", "replace")
        end = begin + packed if packed and not flags & 8 else _end_of(data, begin, method)
        found = True
        if name and not name.endswith("/"):
            member = Member(name, size)
            member.reason = "password-protected" if flags & 1 else "" if method in (0, 8) else "damaged"
            member.unpack = partial(_salvage, data, begin, end, method, size, member)
            yield member
        at = data.find(_SIGN, max(end, at + 4))
    raise BadZipFile("its list of files is missing" if found else "it has no files")


def _end_of(data: bytes, begin: int, method: int) -> int:
    """Return where packed bytes end whose size stands behind them."""
    if method == 8:
        unpacker = zlib.decompressobj(-15)
        try:
            for start in range(begin, len(data), _STEP):
                unpacker.decompress(data[start : start + _STEP])
                if unpacker.eof:
                    return min(start + _STEP, len(data)) - len(unpacker.unused_data)
        except zlib.error:
            pass
    end = data.find(_SIGN, begin)
    return len(data) if end < 0 else end


def _salvage(data: bytes, begin: int, end: int, method: int, size: int, member: Member) -> bytes:
    if method == 0:
        member.is_whole = end <= len(data) and (not size or size == end - begin)
        return data[begin:end]
    unpacker = zlib.decompressobj(-15)
    out: list[bytes] = []
    unpacked = 0
    try:
        for start in range(begin, end, _STEP):
            piece = unpacker.decompress(data[start : min(start + _STEP, end)], LARGEST_MEMBER - unpacked + 1)
            out.append(piece)
            unpacked += len(piece)
            if unpacked > LARGEST_MEMBER:
                raise Unusable(f"too large when unpacked (over {LARGEST_MEMBER >> 20} MiB)")
            if unpacker.eof:
                break
    except zlib.error:
        pass
    member.is_whole = unpacker.eof
    if not unpacked and not unpacker.eof:
        raise BadZipFile("nothing can be unpacked")
    return b"".join(out)
