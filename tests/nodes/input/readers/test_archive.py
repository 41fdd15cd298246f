"""Archives are read as folders, within limits, and what is not read is said."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import time
import zipfile
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Draft, Skipped, Unusable
from durable_rlm.nodes.input.readers.archives import archive, archive_member, archive_tar, archive_zip
from tests.nodes.input.corpus.archive import samples, tarred, zipped
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.reading import drafts, only, read

_PAGE = b"<h1>Title</h1>"


def _names(name: str, data: bytes) -> list[str]:
    return [one.name for one in drafts(name, data)]


def _skipped(name: str, data: bytes, passwords: tuple[str, ...] = ()) -> dict[str, str]:
    return {one.name: one.reason for one in read(name, data, passwords=passwords) if isinstance(one, Skipped)}


@pytest.mark.parametrize("seed", range(3))
def test_no_file_in_an_archive_is_lost_silently(seed: int) -> None:
    for one in samples(Random(seed)):
        assert silently_lost(one, read(one.name, one.data)) == [], one.name


def test_each_file_is_a_document_named_by_its_path() -> None:
    draft = only("bundle.zip", zipped({"a/b.txt": b"inside a zip"}))
    assert (draft.name, draft.text, draft.meta["kind"]) == ("a/b.txt", "inside a zip", "text")


def test_files_in_archives_in_archives_have_the_whole_path() -> None:
    inner = zipped({"c.txt": b"deep"})
    data = gzip.compress(tarred({"b/inner.zip": inner, "a.csv": b"x,y\n"}))
    assert _names("x.tar.gz", data) == ["b/inner.zip/c.txt", "a.csv"]


@pytest.mark.parametrize(
    ("suffix", "data"),
    [("gz", gzip.compress(_PAGE, mtime=0)), ("bz2", bz2.compress(_PAGE)), ("xz", lzma.compress(_PAGE))],
)
def test_a_compressed_file_is_one_document_without_a_name_inside(suffix: str, data: bytes) -> None:
    draft = only(f"page.html.{suffix}", data)
    assert (draft.name, draft.text, draft.meta["kind"]) == ("", "# Title\n", "HTML")
    assert draft.meta["compression"] in ("gzip", "bzip2", "xz")


def test_members_of_gzip_follow_each_other() -> None:
    assert only("a.log.gz", gzip.compress(b"one\n", mtime=0) + gzip.compress(b"two\n")).text == "one\ntwo\n"


def test_a_compressed_archive_in_a_compressed_file_keeps_its_names() -> None:
    assert _names("x.zip.gz", gzip.compress(zipped({"a.txt": b"x"}))) == ["a.txt"]


def test_names_cannot_leave_the_archive() -> None:
    files = {"../../etc/passwd": b"a", "/abs/x.txt": b"b", "C:/y.txt": b"c", "a\nb.txt": b"d", "./e//f.txt": b"e"}
    assert _names("x.zip", zipped(files)) == ["etc/passwd", "abs/x.txt", "y.txt", "a\ufffdb.txt", "e/f.txt"]
    assert _names("x.tar", tarred({"..\\..\\g.txt": b"g"})) == ["g.txt"]


def test_names_in_utf8_that_do_not_say_so_are_read_right() -> None:
    data = zipped({"xx.txt": b"x"}).replace(b"xx.txt", "é.txt".encode())
    assert _names("x.zip", data) == ["é.txt"]


def test_links_and_devices_are_skipped_with_the_reason() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind, target in (
            ("a", tarfile.SYMTYPE, "/etc/passwd"),
            ("b", tarfile.LNKTYPE, "x"),
            ("c", tarfile.CHRTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            made.addfile(entry)
    reasons = _skipped("x.tar", file.getvalue())
    assert reasons == {"a": "a link to /etc/passwd", "b": "a link to x", "c": "a device or another special file"}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    assert _skipped("x.zip", file.getvalue()) == {"link": "a symbolic link"}


def test_hidden_files_are_left_out_and_counted() -> None:
    files = {"a.txt": b"x", ".git/config": b"y", ".git/objects/1": b"z", "__MACOSX/._a.txt": b"", "b/.DS_Store": b""}
    assert _names("x.zip", zipped(files)) == ["a.txt"]
    assert _skipped("x.zip", zipped(files)) == {
        ".git": "hidden (2 files)",
        "__MACOSX": "hidden (1 file)",
        "b/.DS_Store": "hidden (1 file)",
    }


def test_a_large_file_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_MEMBER", 1_000)
    files = {"bomb.txt": b"A" * 100_000, "ok.txt": b"ok"}
    for name, data in (("x.zip", zipped(files)), ("x.tgz", gzip.compress(tarred(files)))):
        assert _names(name, data) == ["ok.txt"]
        assert "too large" in _skipped(name, data)["bomb.txt"]
    with pytest.raises(Unusable, match="too large"):
        read("x.txt.gz", gzip.compress(b"A" * 100_000, mtime=0))


def test_all_files_together_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_UNPACKED", 1_000)
    assert _names("x.zip", zipped({"a.txt": b"A" * 600, "b.txt": b"B" * 600, "c.txt": b"C" * 300})) == [
        "a.txt",
        "c.txt",
    ]


def test_the_number_of_files_is_capped_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    assert _skipped("x.zip", zipped({f"{n}.txt": b"x" for n in range(4)}))[""].startswith("more than 2 files")


def test_files_that_share_their_bytes_are_not_unpacked() -> None:
    kernel = zipped({"a.txt": b"A" * 50_000})
    end = kernel.rfind(b"PK\x05\x06")
    start = kernel.find(b"PK\x01\x02")
    entry = kernel[start:end]
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, len(entry) * 9, start, 0)
    data = kernel[:start] + entry * 9 + tail
    assert len(_names("x.zip", data)) < 9
    assert "overlaps other files of the archive" in _skipped("x.zip", data).values()


def test_the_list_of_files_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_zip, "_LARGEST_DIRECTORY", 10)
    with pytest.raises(Unusable, match="too large"):
        read("x.zip", zipped({"a.txt": b"x"}))


def test_a_stream_is_unpacked_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_tar, "LARGEST_UNPACKED", 3_000)
    found = read("x.tgz", gzip.compress(tarred({"a.txt": b"first", "b.txt": b"B" * 9_000, "c.txt": b"third"})))
    assert "c.txt" not in [one.name for one in found]
    assert isinstance(found[-1], Skipped)
    assert "when unpacked" in found[-1].reason


def test_files_inside_of_files_are_capped_at_all_depths_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.nodes.input.reading_task._MOST_NESTED", 3)
    data = zipped({"a.zip": zipped({"1.txt": b"x", "2.txt": b"x"}), "b.zip": zipped({"3.txt": b"x"})})
    assert _names("x.zip", data) == ["a.zip/1.txt", "a.zip/2.txt"]
    assert _skipped("x.zip", data)["b.zip"].startswith("beyond")


def test_archives_that_contain_themselves_end() -> None:
    data = b"x"
    for _ in range(14):
        data = zipped({"a.zip" if data != b"x" else "a.txt": data})
    assert any("files deep" in reason for reason in _skipped("x.zip", data).values())


def test_a_zip_without_its_end_is_read_as_far_as_it_goes() -> None:
    data = zipped(
        {"a.txt": b"first words", "b.txt": b"second words", "e.txt": b"", "c.txt": bytes(range(32, 127)) * 900}
    )
    found = read("x.zip", data[: data.find(b"PK\1\2") - 40])
    assert [one.name for one in found if isinstance(one, Draft)] == ["a.txt", "b.txt", "c.txt"]
    assert found[-1] == Skipped("", "damaged after what was read (BadZipFile: its list of files is missing)", 0)
    assert [one.losses for one in found if isinstance(one, Draft)][-1] == [archive_member.DAMAGED]


def test_a_file_with_a_wrong_checksum_is_read_and_said_to_be_damaged() -> None:
    data = zipped({"a.txt": b"some words"}, zipfile.ZIP_STORED).replace(b"some words", b"same words")
    draft = only("x.zip", data)
    assert (draft.text, draft.losses) == ("same words", [archive_member.DAMAGED])


def test_a_tar_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    data = tarred({"a.txt": b"first", "b.txt": b"words " * 2_000})
    for name, cut in (("x.tar", data[:4_000]), ("x.tgz", gzip.compress(data, 0, mtime=0)[:4_000])):
        found = read(name, cut)
        assert [one.name for one in found if isinstance(one, Draft)] == ["a.txt", "b.txt"]
        assert archive_member.DAMAGED in [one for one in found if isinstance(one, Draft)][-1].losses
        assert isinstance(found[-1], Skipped)
        assert found[-1].reason.startswith("damaged after what was read")


def test_a_damaged_header_costs_its_own_file() -> None:
    data = bytearray(tarred({"a.txt": b"first", "b.txt": b"second", "c.txt": b"third"}))
    data[1024:1030] = b"\xff" * 6
    found = read("x.tar", bytes(data))
    assert [one.name for one in found if isinstance(one, Draft)] == ["a.txt", "c.txt"]
    assert found[-1] == Skipped(
        "", "damaged after what was read (ReadError: a header is damaged; its file is not read)", 0
    )


def test_a_compressed_file_that_breaks_off_says_so() -> None:
    draft = only("a.log.gz", gzip.compress(b"words " * 9_000, mtime=0)[:-9])
    assert draft.text.startswith("words ")
    assert draft.losses == [archive_member.DAMAGED]


def test_protected_files_are_read_with_the_right_password(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _encrypted(b"secret words", b"right")
    assert _skipped("x.zip", data) == {"a.txt": "password-protected"}
    assert "no password fits" in _skipped("x.zip", data, ("wrong",))["a.txt"]
    [draft] = drafts("x.zip", data, passwords=("wrong", "right"))
    assert draft.text == "secret words"


def _encrypted(words: bytes, password: bytes) -> bytes:
    """Return a ZIP with one file in the old encryption, which Python reads and does not write."""
    table = [0] * 256
    for number in range(256):
        value = number
        for _ in range(8):
            value = (value >> 1) ^ 0xEDB88320 if value & 1 else value >> 1
        table[number] = value
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = table[(keys[0] ^ byte) & 255] ^ (keys[0] >> 8)
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = table[(keys[2] ^ (keys[1] >> 24)) & 255] ^ (keys[2] >> 8)

    for byte in password:
        update(byte)
    plain = zipped({"a.txt": words}, zipfile.ZIP_STORED)
    check = plain[14:18]
    secret = bytearray()
    for byte in bytes(11) + check[3:] + words:
        pad = (keys[2] | 2) & 0xFFFF
        secret.append(byte ^ ((pad * (pad ^ 1)) >> 8) & 255)
        update(byte)
    start, end = plain.find(b"PK\1\2"), plain.find(b"PK\5\6")
    local, entry, tail = bytearray(plain[:35]), bytearray(plain[start:end]), bytearray(plain[end:])
    local[6] = entry[8] = 1
    local[18:22] = entry[20:24] = struct.pack("<L", len(secret))
    tail[16:20] = struct.pack("<L", len(local) + len(secret))
    return bytes(local + secret + entry + tail)


def test_methods_that_are_not_supported_are_named() -> None:
    data = bytearray(zipped({"a.txt": b"x" * 50}))
    entry = data.find(b"PK\1\2")
    data[8:10] = data[entry + 10 : entry + 12] = struct.pack("<H", 9)
    assert _skipped("x.zip", bytes(data)) == {"a.txt": "compressed by a method that is not supported (Deflate64)"}
    data[8:10] = data[entry + 10 : entry + 12] = struct.pack("<H", 99)
    assert "AES" in _skipped("x.zip", bytes(data))["a.txt"]


def test_a_book_under_another_name_is_taken_for_a_book() -> None:
    big = {f"{number}.bin": b"x" for number in range(300)}
    data = zipped({**big, "mimetype": b"application/epub+zip"})
    found = read("x.zip", data)
    assert isinstance(found[-1], Skipped)
    assert "no package file" in found[-1].reason


@pytest.mark.parametrize("data", [b"PK\3\4junk", b"\x1f\x8b\x08junk", b"BZh91AY&SYjunk\0", b"\xfd7zXZ\0junk"])
def test_other_bytes_are_said_to_be_a_damaged_archive(data: bytes) -> None:
    with pytest.raises(Unusable, match="damaged"):
        read("x.zip" if data.startswith(b"PK") else "x.gz", data)


def test_bombs_end_soon() -> None:
    started = time.process_time()
    bomb = gzip.compress(b"\0" * 10_000_000, mtime=0)
    for _ in range(3):
        bomb = gzip.compress(bomb, mtime=0)
    with pytest.raises(Unusable):
        read("x.gz", bomb)
    assert time.process_time() - started < 3
