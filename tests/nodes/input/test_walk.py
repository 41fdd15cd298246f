"""The files that a user's paths name, their order, and the paths that are refused or skipped."""

import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.source import (
    FileSource,
    Notes,
    Skipped,
    Sources,
    StreamSource,
    from_texts,
)
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import InputError
from tests.contract.in_process_extractor import InProcessExtractor

Tree = Callable[[dict[str, str | bytes]], Path]


def names(sources: Sources) -> list[str]:
    return [source.name for source in sources.items]


def notes(sources: Sources) -> str:
    return "\n".join(sources.notes.lines())


def test_the_files_of_a_folder_are_sorted_and_named_with_the_folder(tree: Tree) -> None:
    root = tree({"b.txt": "b", "a/z.txt": "z", "a/b/c.txt": "c", "c/1.txt": "1", "B.txt": "B"})
    found = expand([root])
    assert names(found) == ["given/B.txt", "given/a/b/c.txt", "given/a/z.txt", "given/b.txt", "given/c/1.txt"]
    assert found.several


def test_a_single_file_is_one_text_named_by_its_path(tree: Tree) -> None:
    found = expand([str(tree({"a/z.txt": "z"}) / "a" / "z.txt")])
    assert names(found) == ["given/a/z.txt"]
    assert not found.several


def test_names_are_paths_that_open_from_the_current_folder(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a/z.txt": "z", "b/y.txt": "y"})
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(root.parent))
    assert names(expand(["."])) == ["a/z.txt", "b/y.txt"]
    assert names(expand(["./a/z.txt"])) == ["a/z.txt"]
    assert names(expand(["a/../b"])) == ["a/../b/y.txt"]
    assert names(expand(["~/given/b"])) == ["b/y.txt"]
    assert names(expand([root / "*" / "*.txt"])) == ["a/z.txt", "b/y.txt"]
    monkeypatch.chdir("a")
    assert names(expand([".."])) == ["../a/z.txt", "../b/y.txt"]
    assert names(expand(["../b/y.txt"])) == ["../b/y.txt"]
    assert names(expand(["../**/y.*"])) == ["../b/y.txt"]
    assert names(expand([root / "b"])) == [f"{root}/b/y.txt"], "elsewhere a path stays absolute"
    assert all(Path(name).exists() for name in names(expand([".."])))


def test_a_folder_entered_by_a_link_is_named_as_the_shell_names_it(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.txt": "a"})
    (root.parent / "link").symlink_to(root)
    monkeypatch.chdir(root.parent / "link")
    monkeypatch.setenv("PWD", str(root.parent / "link"))
    assert names(expand([root.parent / "link" / "a.txt"])) == ["a.txt"]
    monkeypatch.setenv("PWD", "/nowhere")
    assert names(expand([root / "a.txt"])) == ["a.txt"]


def test_a_file_named_several_times_is_taken_once(tree: Tree) -> None:
    root = tree({"a.txt": "a", "b.txt": "b"})
    (root.parent / "link").symlink_to(root / "b.txt")
    given = [root / "b.txt", root, root / ".." / "given", root / "b.txt", root.parent / "link"]
    assert names(expand(given)) == ["given/b.txt", "given/a.txt"]


def test_two_files_with_the_same_name_have_different_names(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"a/README": "a", "b/README": "b", "c/README": "c"}))
    assert names(expand(["a/README", "./b/README", "c"])) == ["a/README", "b/README", "c/README"]


def test_a_hyphen_is_standard_input_and_is_taken_once(tree: Tree) -> None:
    stream = io.BytesIO(b"x")
    found = expand(["-", "-"], stdin=stream)
    assert found.items == [StreamSource("stdin", stream)]


@pytest.mark.parametrize("missing", ["nowhere/a.txt", "a.tx", "a.txt/b", "\0", "x" * 5000])
def test_a_missing_path_is_named_in_the_error(tree: Tree, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.chdir(tree({"a.txt": "a"}))
    with pytest.raises(InputError) as caught:
        expand([missing])
    assert missing.replace("\0", "\ufffd") in caught.value.message


def test_all_missing_paths_are_named_at_once(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"a.txt": "a"}))
    with pytest.raises(InputError) as caught:
        expand(["b.txt", "a.txt", "*.pdf", "c/"])
    assert caught.value.message == (
        "There is no file or folder b.txt. No file matches *.pdf. There is no file or folder c/."
    )
    with pytest.raises(InputError, match=r"no file or folder 19\. And 80 more\."):
        expand([f"{number}" for number in range(100)])


def test_unreadable_files_among_several_paths_are_skipped(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"a.txt": "a"}))
    os.mkfifo("pipe")
    found = expand(["a.txt", "pipe", "/dev/zero"])
    assert names(found) == ["a.txt"]
    assert [(one.path, one.reason) for one in found.skipped] == [("pipe", "a named pipe"), ("/dev/zero", "a device")]
    assert notes(found) == "skipped (a named pipe): pipe\nskipped (a device): /dev/zero"


def test_skipped_files_beyond_the_first_are_only_counted() -> None:
    skipped = Skipped(Notes(), most=3)
    for number in range(5):
        skipped.add(f"{number}", "a device")
    assert [one.path for one in skipped.files] == ["0", "1", "2"]
    assert skipped.notes.lines() == ["skipped (a device): 0, 1, 2, 3, 4"]


def test_a_similar_name_is_suggested_and_a_url_is_not_fetched(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"report.txt": "a"}))
    with pytest.raises(InputError, match=r"Did you mean report\.txt\?"):
        expand(["reprot.txt"])
    with pytest.raises(InputError, match="download it first"):
        expand(["https://example.invalid/a?*"])


# --- .gitignore and hidden names


def test_gitignore_rules_nest_and_the_nearest_wins(tree: Tree) -> None:
    root = tree(
        {
            ".gitignore": "*.log\n/build/\n!keep.log\ndocs/*.tmp\n",
            "a.log": "",
            "keep.log": "",
            "build/x.py": "",
            "sub/build/x.py": "",
            "docs/a.tmp": "",
            "docs/deep/a.tmp": "",
            "sub/.gitignore": "!b.log\nkeep.log\n",
            "sub/b.log": "",
            "sub/keep.log": "",
            "x.py": "",
        }
    )
    found = expand([root])
    assert names(found) == [
        "given/docs/deep/a.tmp",
        "given/keep.log",
        "given/sub/b.log",
        "given/sub/build/x.py",
        "given/x.py",
    ]
    assert "4 by .gitignore" in notes(found)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("*\n!*/\n!*.py", {"a.py", "d/a.py", "d/e/a.py"}),  # only Python files
        ("d/**", {"a.py", "a.txt"}),
        ("d/**/", {"a.py", "a.txt", "d/a.py"}),  # the folders inside d
        ("**/e", {"a.py", "a.txt", "d/a.py"}),
        ("d\n!d/a.py", {"a.py", "a.txt"}),  # nothing below an excluded folder is included again
        ("# a.py\n\\#x\n\n   \n[z-a]\n!", {"a.py", "a.txt", "d/a.py", "d/e/a.py"}),
        ("*a*.*p*y*z*", {"a.py", "a.txt", "d/a.py", "d/e/a.py"}),
        ("a.txt  \r\nd\r", {"a.py"}),
    ],
)
def test_gitignore_patterns_have_their_meaning_in_git(tree: Tree, rules: str, kept: set[str]) -> None:
    root = tree({"a.py": "", "a.txt": "", "d/a.py": "", "d/e/a.py": "", ".gitignore": rules})
    assert set(names(expand([root]))) == {f"given/{name}" for name in kept}


def test_a_pattern_designed_to_backtrack_ends(tree: Tree) -> None:
    root = tree({".gitignore": "*a" * 40 + "b", "a" * 250: ""})
    assert len(expand([root]).items) == 1


def test_rules_of_the_surrounding_repository_apply_in_a_folder(tree: Tree) -> None:
    root = tree({".git/config": "", ".gitignore": "*.pyc\nout/\n", "src/a.py": "", "src/a.pyc": "", "out/a.py": ""})
    assert names(expand([root / "src"])) == ["given/src/a.py"]
    assert names(expand([root / "out"])) == ["given/out/a.py"], "naming an ignored folder overrules"
    assert names(expand([root / "src" / "a.pyc"])) == ["given/src/a.pyc"], "naming an ignored file overrules"


def test_hidden_names_and_git_folders_are_skipped_unless_named(tree: Tree) -> None:
    root = tree({".env": "", ".github/ci.yml": "", ".git/config": "", "a": "", "sub/.git": "gitdir: x"})
    found = expand([root])
    assert names(found) == ["given/a"]
    assert "2 hidden" in notes(found)
    assert names(expand([root / ".env", root / ".github"])) == ["given/.env", "given/.github/ci.yml"]


def test_hidden_files_are_found_on_request_but_never_those_of_git_or_of_runs(tree: Tree) -> None:
    root = tree({".env": "", ".github/ci.yml": "", ".git/config": "", ".rlm/x": "", "a": "", ".gitignore": "*.log"})
    root.joinpath("b.log").touch()
    found = expand([root], hidden=True)
    assert names(found) == ["given/.env", "given/.github/ci.yml", "given/.gitignore", "given/a"]
    assert notes(found) == "left out: 1 by .gitignore"


def test_the_store_is_never_part_of_the_input(tree: Tree) -> None:
    root = tree({"a": "", "home/blobs/x": "", "sub/home/x": ""})
    assert names(expand([root], exclude=[root / "home"])) == ["given/a", "given/sub/home/x"]


# --- patterns


def test_a_pattern_is_expanded_as_by_a_shell(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"b.txt": "", "a.txt": "", ".h.txt": "", "c.py": "", "d/e.txt": "", ".gitignore": "a.txt"}))
    assert names(expand(["*.txt"])) == ["a.txt", "b.txt"]
    assert names(expand(["[bc].*"])) == ["b.txt", "c.py"]
    assert names(expand([".h*"])) == [".h.txt"]
    one = expand(["*.py"])
    assert names(one) == ["c.py"]
    assert not one.several
    assert names(expand(["?"])) == ["d/e.txt"], "a matching folder is walked"


def test_two_stars_walk_through_folders_with_the_rules_of_a_walk(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(
        {
            "src/a.py": "",
            "src/x/b.py": "",
            "src/x/b.txt": "",
            "src/.venv/c.py": "",
            "src/gen/d.py": "",
            "src/.gitignore": "gen/",
            "e.py": "",
        }
    )
    monkeypatch.chdir(root)
    assert names(expand(["src/**/*.py"])) == ["src/a.py", "src/x/b.py"]
    assert names(expand([str(root / "**" / "b.*")])) == ["src/x/b.py", "src/x/b.txt"]
    assert names(expand(["src/**/.venv/*.py"])) == ["src/.venv/c.py"]
    assert expand(["**/e.py"]).several


@pytest.mark.parametrize("pattern", ["*.md", "nowhere/*.txt", "nowhere/**/*.txt", "**/*.md"])
def test_a_pattern_without_a_match_is_an_error(tree: Tree, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.chdir(tree({"a.txt": ""}))
    with pytest.raises(InputError) as caught:
        expand([pattern])
    assert pattern in caught.value.message


def test_an_existing_name_that_looks_like_a_pattern_is_taken_literally(tree: Tree) -> None:
    root = tree({"a[1].txt": "", "a1.txt": ""})
    assert names(expand([root / "a[1].txt"])) == ["given/a[1].txt"]


# --- links and special files


def test_links_in_a_folder_are_not_followed_and_loops_are_harmless(tree: Tree) -> None:
    root = tree({"sub/a.txt": "", "../outside/secret.txt": "secret"})
    (root / "out").symlink_to(root.parent / "outside")
    (root / "secret.txt").symlink_to(root.parent / "outside" / "secret.txt")
    (root / "sub" / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "twin.txt").symlink_to(root / "sub" / "a.txt")
    found = expand([root])
    assert names(found) == ["given/sub/a.txt"]
    assert "links are not followed" in notes(found)
    assert "given/secret.txt" in notes(found)


def test_a_pattern_does_not_leave_its_folder_by_a_link(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.txt": "", "../outside/secret.txt": "secret"})
    (root / "link").symlink_to(root.parent / "outside")
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match="leads elsewhere"):
        expand(["*/secret.txt"])
    assert names(expand(["link"])) == ["link/secret.txt"], "a link that is named is followed"


def test_special_files_are_refused_when_named_and_skipped_in_folders(tree: Tree) -> None:
    root = tree({"a.txt": "a"})
    os.mkfifo(root / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "sock"))
    listener.close()
    found = expand([root])
    assert names(found) == ["given/a.txt"]
    assert "a named pipe" in notes(found)
    assert "a socket" in notes(found)
    for special, kind in ((root / "pipe", "a named pipe"), (root / "sock", "a socket"), ("/dev/zero", "a device")):
        with pytest.raises(InputError, match=kind):
            expand([special])


def test_a_dangling_link_is_an_error_when_named(tree: Tree) -> None:
    root = tree({})
    (root / "gone").symlink_to(root / "nothing")
    with pytest.raises(InputError, match="link to nothing"):
        expand([root / "gone"])


def test_an_unreadable_folder_is_an_error_when_named_and_skipped_inside_another(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.txt": "", "locked/b.txt": ""})
    scandir = os.scandir

    def refuse(folder: str) -> object:  # root may read everything, so permissions alone would prove nothing
        if folder.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = expand([root])
    assert names(found) == ["given/a.txt"]
    assert "skipped (Permission denied): given/locked" in notes(found)
    with pytest.raises(InputError, match="locked cannot be read: Permission denied"):
        expand([root / "locked"])


# --- names


def test_file_names_cannot_forge_lines_or_break_json(tree: Tree) -> None:
    root = tree({"a\nb": "", "\u202egnp.txt": ""})
    assert names(expand([root])) == ["given/a\ufffdb", "given/\ufffdgnp.txt"]
    assert names(from_texts([("x\r\ud800", "")])) == ["x\ufffd\ufffd"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system has no such names")
def test_files_with_names_that_are_not_utf8_are_read(tree: Tree, blobs: Blobs) -> None:
    root = tree({})
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    assert ingest(expand([root]), blobs, InProcessExtractor())["names"] == ["given/caf\ufffd.txt"]


def test_a_file_named_beside_its_folder_counts_as_named(tree: Tree) -> None:
    root = tree({"a": "", "b": ""})
    items = expand([root, root / "b"]).items
    assert [(item.name, item.explicit) for item in items if isinstance(item, FileSource)] == [
        ("given/a", False),
        ("given/b", True),
    ]
