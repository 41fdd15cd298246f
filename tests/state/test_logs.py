"""Logs of detached runs: their names, their size, and what a stranger's home may not make of them."""

import itertools
import os
import re
from pathlib import Path

import pytest

from durable_rlm.state.errors import StoreError
from durable_rlm.state.logs import (
    KEPT_SECONDS,
    MOST_BYTES,
    LogFile,
    list_log_name,
    log_name,
    log_path,
    logs_to_free,
    remove_files,
    remove_logs,
)

_NAMES = [
    *("contracts", "which-contracts-end-3f2a", "a.b", "Contracts", "CONTRACTS", "..", ".", ".hidden", "-x", "a/b"),
    *("../../etc/passwd", "a\\b", "a\nb", "a b", "ü", "u", "\u202eabc", "\ud800", "x" * 100, "x" * 101, "ü" * 500),
    *("~", "a-b", "a~" + "0" * 24, "questions~a", "con:", "a.log", "*", "", "\x1b[31m"),
]


def test_every_thread_has_a_log_of_its_own_whose_name_is_safe_in_any_folder() -> None:
    names = [*map(log_name, _NAMES), *map(list_log_name, _NAMES)]
    assert len({name.casefold() for name in names}) == 2 * len(_NAMES)
    for name in names:
        assert re.fullmatch(r"[a-z0-9_~][a-z0-9_.~-]{0,125}", name)
    assert log_name("which-contracts-end-3f2a") == "which-contracts-end-3f2a.log"
    assert log_name("a/Ü b").startswith("a-b~"), "the name is still recognized"
    assert list_log_name("/home/me/overnight.jsonl").startswith("questions~home-me-overnight.jsonl~")


def test_a_log_keeps_its_newer_half_when_it_would_exceed_five_megabytes(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "a.log")
    largest = 0
    with log.path.open("rb") as reader:
        for number in range(13_000):
            log.append(f"{number:>999}\n".encode(), b"older lines were dropped\n")
            largest = max(largest, log.path.stat().st_size)
        assert MOST_BYTES - 1_000 < largest <= MOST_BYTES
        lines = reader.read().splitlines()
    assert lines == log.path.read_bytes().splitlines(), "a reader that has it open reads on"
    assert lines[0] == b"older lines were dropped" and lines.count(lines[0]) == 1
    assert [int(line) for line in lines[1:]] == list(range(13_000 - len(lines) + 1, 13_000)), "no line is cut or lost"
    assert len(lines) > 2_000


def test_others_that_append_to_a_log_count_and_go_on(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "a.log")
    for _ in range(6):
        os.write(log.descriptor, b"x" * 999_999 + b"\n")
    log.append(b"mine\n", b"dropped\n")
    assert log.path.stat().st_size <= MOST_BYTES
    os.write(log.descriptor, b"theirs\n")
    assert log.path.read_bytes().endswith(b"\nmine\ntheirs\n")
    assert LogFile(tmp_path, "a.log").path.read_bytes().startswith(b"dropped\n"), "opening it again cuts nothing"


def test_only_a_file_of_this_user_in_the_homes_own_folder_is_a_log(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    precious = outside / "precious"
    precious.write_text("precious")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "logs").symlink_to(outside)
    home = tmp_path / "home"
    logs = home / "logs"
    logs.mkdir(parents=True, mode=0o755)
    only = tmp_path / "only"
    only.write_text("precious")
    (logs / "link.log").symlink_to(only)
    (logs / "hard.log").hardlink_to(precious)
    os.mkfifo(logs / "pipe.log")
    (logs / "folder.log").mkdir()
    places = [(linked, "precious"), *((home, f"{name}.log") for name in ("link", "hard", "pipe", "folder"))]
    for place, name in places:
        with pytest.raises(StoreError, match="cannot be written"):
            LogFile(place, name)
    remove_files(linked, ["precious"])
    assert precious.read_text() == "precious" and list(outside.iterdir()) == [precious]
    (logs / "a.log").touch(mode=0o644)
    LogFile(home, "a.log").append(b"x\n", b"")
    assert (logs / "a.log").stat().st_mode & 0o777 == 0o600 and logs.stat().st_mode & 0o777 == 0o700


def test_logs_go_with_their_threads(tmp_path: Path) -> None:
    remove_logs(tmp_path, ["a"])
    assert logs_to_free(tmp_path, 0.0) == []
    for thread in ("a", "b/c", "d"):
        LogFile(tmp_path, log_name(thread)).append(b"12345\n", b"")
    lists = [list_log_name(name) for name in ("old", "new")]
    for name, modified in zip(lists, (0.0, KEPT_SECONDS), strict=True):
        LogFile(tmp_path, name)
        os.utime(log_path(tmp_path, name), (modified, modified))
    (tmp_path / "logs" / "notes.txt").touch()
    remove_logs(tmp_path, ["a", "unknown"])
    assert not log_path(tmp_path, "a.log").exists()
    found = logs_to_free(tmp_path, KEPT_SECONDS + 1)
    assert found == sorted([(log_name("b/c"), 6), ("d.log", 6), (lists[0], 0)])
    remove_files(tmp_path, [name for name, _ in found if name != "d.log"])
    left = {entry.name for entry in (tmp_path / "logs").iterdir()}
    assert left == {"d.log", lists[1], "notes.txt"}


def test_no_name_of_a_log_takes_long() -> None:
    assert len(log_name("".join(itertools.islice(itertools.cycle("-a. "), 100_000)))) < 100
