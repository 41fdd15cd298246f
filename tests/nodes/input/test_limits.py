"""The limits of a walk, which are checked before anything is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.source import (
    IngestStopped,
    Limits,
    Sources,
)
from durable_rlm.state.errors import InputError

Tree = Callable[[dict[str, str | bytes]], Path]


def names(sources: Sources) -> list[str]:
    return [source.name for source in sources.items]


def notes(sources: Sources) -> str:
    return "\n".join(sources.notes.lines())


def test_too_many_files_are_refused_with_a_hint(tree: Tree) -> None:
    root = tree({f"{number // 5}/{number}": "" for number in range(20)})
    assert len(expand([root], limits=Limits(files=20)).items) == 20
    with pytest.raises(InputError, match=r"more than 19 files.*\.gitignore"):
        expand([root], limits=Limits(files=19))


def test_a_huge_folder_is_refused_before_all_of_it_is_listed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({f"{number}": "" for number in range(100)})
    looked: list[str] = []
    scandir = os.scandir

    class Counting:
        def __init__(self, folder: str) -> None:
            self._entries = scandir(folder)

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> "Counting":
            return self

        def __next__(self) -> "os.DirEntry[str]":
            entry = next(self._entries)
            looked.append(entry.name)
            return entry

    monkeypatch.setattr(os, "scandir", Counting)
    with pytest.raises(InputError, match="more than 10 files"):
        expand([root], limits=Limits(files=10))
    assert len(looked) == 11


def test_skipped_entries_are_limited_too(tree: Tree) -> None:
    root = tree({f".{number}": "" for number in range(50)})
    with pytest.raises(InputError, match="more than 40 entries"):
        expand([root], limits=Limits(files=2))


def test_total_bytes_are_limited_before_any_file_is_read(tree: Tree) -> None:
    root = tree({"a": "x" * 600, "b": "x" * 600})
    with pytest.raises(InputError, match="GiB"):
        expand([root], limits=Limits(bytes=1000))
    with (root / "sparse").open("wb") as file:
        file.write(b"text " * 20_000)
        file.truncate(5 << 30)
    with pytest.raises(InputError, match="more than 4 GiB"):
        expand([root / "sparse"])


def test_files_that_nothing_reads_do_not_count_against_the_limit_of_bytes(tree: Tree) -> None:
    root = tree({"a": "x" * 600, "b": b"\0\1" * 5_000, "c": "x" * 300, "d": "é".encode("utf-16") * 20})
    assert len(expand([root], limits=Limits(bytes=1000)).items) == 4
    with pytest.raises(InputError, match="GiB"):
        expand([root], limits=Limits(bytes=960))


def test_folders_deeper_than_the_limit_are_skipped_and_noted(tree: Tree) -> None:
    root = tree({"1/2/3/a": "", "1/2/b": ""})
    found = expand([root], limits=Limits(depth=2))
    assert names(found) == ["given/1/2/b"]
    assert "more than 2 folders deep): given/1/2/3" in notes(found)


def test_a_folder_without_any_file_is_an_error(tree: Tree) -> None:
    with pytest.raises(InputError, match="no file to read"):
        expand([tree({"sub/": "", ".hidden": ""})])


def test_a_walk_can_be_stopped(tree: Tree) -> None:
    with pytest.raises(IngestStopped):
        expand([tree({"a": ""})], cancelled=lambda: True)
