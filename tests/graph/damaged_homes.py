"""Damages to every kind of stored record: changed, truncated, removed. Each returns the problem to be found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from durable_rlm.state.blobs.deltas import TextDelta
from durable_rlm.state.blobs.store import content_hash
from durable_rlm.state.maintenance.report import Kind
from tests.damage import DATABASE, ask, change, flip

CHANGED, MISSING = "has changed on disk", "is missing"
PACK, INDEX = b"alphabeta", b"alpha.txt"
"""The contents of the blobs of `hurt`'s input: its documents, and a part of the list of them."""


@dataclass(frozen=True)
class Found:
    """The only problem to be found, and a part of what is reported as lost with it."""

    kind: Kind
    name: str
    fault: str
    lost: str


DAMAGES: dict[str, Callable[[Path], Found]] = {}


def damage(function: Callable[[Path], Found]) -> Callable[[Path], Found]:
    DAMAGES[function.__name__] = function
    return function


def of_step(number: int) -> str:
    return f"checkpoint_id = (SELECT checkpoint_id FROM steps WHERE thread_id = 'hurt' AND step = {number})"


def call_about(home: Path, prompt: str) -> str:
    [[key]] = ask(home, "SELECT key FROM calls WHERE prompt = ?", content_hash(prompt.encode()))
    return key


def last_snapshot(home: Path) -> str:
    """Return the manifest of `hurt`'s last cell but one, on which its last cell builds."""
    [[value]] = ask(
        home,
        f"SELECT value FROM writes WHERE thread_id = 'hurt' AND channel = 'turns' AND {of_step(8)}",
    )
    return manifest_in(home, value)


def manifest_in(home: Path, value: bytes) -> str:
    [name] = [name for [name] in ask(home, "SELECT hash FROM manifests") if name.encode() in value]
    return name


def piece_of(home: Path, least: int) -> str:
    """Return the hash of a piece of `hurt`'s variable `noise` with more than `least` bytes."""
    [[manifest]] = ask(home, "SELECT CAST(body AS TEXT) FROM manifests WHERE hash = ?", last_snapshot(home))
    found = ask(home, "SELECT hash FROM chunks WHERE length(body) > ? ORDER BY hash", least)
    return next(name for [name] in found if name in manifest)


def blob_with(home: Path, needle: bytes) -> Path:
    [found] = [path for path in (home / "blobs").rglob("*") if path.is_file() and needle in path.read_bytes()]
    return found


def name_of(blob: Path) -> str:
    return blob.parent.name + blob.name


def in_ranges(home: Path, text: str, needle: bytes) -> str:
    """Store a text as its range of the blob that contains `needle` and the text. Return the text's hash."""
    blob, body = blob_with(home, needle), text.encode()
    start = blob.read_bytes().index(body)
    recipe = TextDelta(content_hash(body), (name_of(blob),), ((0, start, start + len(body)),))
    change(home, "DELETE FROM texts WHERE hash = ?", recipe.name)
    change(home, "INSERT INTO recipes (hash, body, touched) VALUES (?, ?, 0)", recipe.name, recipe.to_json())
    return recipe.name


@damage
def an_entry_in_the_index_changed(home: Path) -> Found:
    change(home, "UPDATE threads SET question = 'What else?' WHERE thread_id = 'hurt'")
    return Found("thread", "hurt", CHANGED, "limits and status")


@damage
def an_entry_in_the_index_gone(home: Path) -> Found:
    change(home, "DELETE FROM threads WHERE thread_id = 'hurt'")
    return Found("thread", "hurt", MISSING, "limits and status")


@damage
def a_step_changed(home: Path) -> Found:
    change(home, "UPDATE steps SET summary = 'nothing' WHERE thread_id = 'hurt' AND step = 4")
    return Found("step", "step 4", CHANGED, "list of steps")


@damage
def a_step_gone(home: Path) -> Found:
    change(home, "DELETE FROM steps WHERE thread_id = 'hurt' AND step = 4")
    return Found("step", "step 4", MISSING, "list of steps")


@damage
def the_last_step_gone(home: Path) -> Found:
    [[name]] = ask(home, "SELECT checkpoint_id FROM steps WHERE thread_id = 'hurt' AND step = 12")
    change(home, "DELETE FROM steps WHERE thread_id = 'hurt' AND step = 12")
    return Found("step", f"the step of checkpoint {name}", MISSING, "list of steps")


@damage
def a_checkpoint_without_its_parent(home: Path) -> Found:
    change(home, f"UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = 'hurt' AND {of_step(8)}")
    return Found("checkpoint", "step 8", CHANGED, "steps 8–12")


@damage
def a_checkpoint_cut_short(home: Path) -> Found:
    half = "checkpoint = substr(checkpoint, 1, length(checkpoint) / 2)"
    change(home, f"UPDATE checkpoints SET {half} WHERE thread_id = 'hurt' AND {of_step(8)}")
    return Found("checkpoint", "step 8", CHANGED, "steps 8–12")


@damage
def a_checkpoint_with_changed_metadata(home: Path) -> Found:
    change(home, f"UPDATE checkpoints SET metadata = '{{}}' WHERE thread_id = 'hurt' AND {of_step(8)}")
    return Found("checkpoint", "step 8", CHANGED, "steps 8–12")


@damage
def a_checkpoint_gone(home: Path) -> Found:
    change(home, f"DELETE FROM checkpoints WHERE thread_id = 'hurt' AND {of_step(8)}")
    return Found("checkpoint", "step 8", MISSING, "steps 8–12")


@damage
def a_write_to_a_growing_list_changed(home: Path) -> Found:
    which = f"thread_id = 'hurt' AND channel = 'turns' AND {of_step(8)}"
    change(home, f"UPDATE writes SET value = x'90' WHERE {which}")
    return Found("write", "turns, written after step 8", CHANGED, "steps 8–12")


@damage
def a_write_to_a_value_cut_short(home: Path) -> Found:
    which = f"thread_id = 'hurt' AND channel = 'usage' AND {of_step(8)}"
    change(home, f"UPDATE writes SET value = substr(value, 1, 9) WHERE {which}")
    return Found("write", "usage, written after step 8", CHANGED, "step 8")


@damage
def a_call_with_another_answer(home: Path) -> Found:
    key = call_about(home, "alpha")
    change(home, "UPDATE calls SET answer = prompt WHERE key = ?", key)
    return Found("call", key, CHANGED, "paid, again")


@damage
def a_call_with_a_text_column_that_is_not_utf8(home: Path) -> Found:
    key = call_about(home, "alpha")
    change(home, "UPDATE calls SET model = CAST(x'ff6d' AS TEXT) WHERE key = ?", key)
    return Found("call", key, CHANGED, "paid, again")


@damage
def a_text_changed_in_the_file(home: Path) -> Found:
    name = content_hash(b"noise of alpha\n")
    # In its row the text is between its name and the time of its last use.
    flip(home / DATABASE, name.encode() + b"noise of alpha\n")
    return Found("text", name, CHANGED, "the output of turn 2")


@damage
def a_text_cut_short(home: Path) -> Found:
    name = content_hash(b"ALPHA")
    change(home, "UPDATE texts SET body = substr(body, 1, 4) WHERE hash = ?", name)
    return Found("text", name, CHANGED, f"the answer of call {call_about(home, 'alpha')}")


@damage
def a_text_gone(home: Path) -> Found:
    name = content_hash(b"alpha")
    change(home, "DELETE FROM texts WHERE hash = ?", name)
    return Found("text", name, MISSING, f"the prompt of call {call_about(home, 'alpha')}")


@damage
def the_recipe_of_a_text_changed(home: Path) -> Found:
    name = in_ranges(home, "alpha", PACK)
    change(home, "UPDATE recipes SET body = replace(CAST(body AS TEXT), '[0,0,5]', '[0,1,5]') WHERE hash = ?", name)
    return Found("text", name, CHANGED, f"the prompt of call {call_about(home, 'alpha')}")


@damage
def the_recipe_of_a_text_gone(home: Path) -> Found:
    name = in_ranges(home, "alpha", PACK)
    change(home, "DELETE FROM recipes WHERE hash = ?", name)
    return Found("text", name, MISSING, f"the prompt of call {call_about(home, 'alpha')}")


@damage
def the_depth_of_a_child_changed(home: Path) -> Found:
    change(home, "UPDATE children SET depth = 2 WHERE thread_id = 'hurt'")
    return Found("child", "hurt", CHANGED, "whose budget it spends")


@damage
def a_large_text_changed(home: Path) -> Found:
    blob = blob_with(home, b"alphaalphaalpha")
    data = bytearray(blob.read_bytes())
    data[100_000] ^= 1
    blob.write_bytes(data)
    return Found("text", name_of(blob), CHANGED, "the output of turn 1")


@damage
def a_large_text_cut_short(home: Path) -> Found:
    blob = blob_with(home, b"alphaalphaalpha")
    blob.write_bytes(blob.read_bytes()[:-1])
    return Found("text", name_of(blob), CHANGED, "the output of turn 1")


@damage
def a_large_text_gone(home: Path) -> Found:
    blob = blob_with(home, b"alphaalphaalpha")
    blob.unlink()
    return Found("text", name_of(blob), MISSING, "the output of turn 1")


@damage
def a_snapshot_cut_short(home: Path) -> Found:
    name = last_snapshot(home)
    change(home, "UPDATE manifests SET body = substr(body, 1, 100) WHERE hash = ?", name)
    return Found("snapshot", name, CHANGED, "variables after turn 2")


@damage
def a_snapshot_gone(home: Path) -> Found:
    name = last_snapshot(home)
    change(home, "DELETE FROM manifests WHERE hash = ?", name)
    return Found("snapshot", name, MISSING, "variables after turn 2")


@damage
def a_piece_of_a_variable_changed(home: Path) -> Found:
    name = piece_of(home, 5_000)
    change(home, "UPDATE chunks SET body = substr(body, 1, length(body) - 1) || x'00' WHERE hash = ?", name)
    return Found("piece", name, CHANGED, "noise after turns 2–3")


@damage
def a_piece_of_a_variable_gone(home: Path) -> Found:
    name = piece_of(home, 5_000)
    change(home, "DELETE FROM chunks WHERE hash = ?", name)
    return Found("piece", name, MISSING, "noise after turns 2–3")


@damage
def the_input_changed(home: Path) -> Found:
    blob = blob_with(home, PACK)
    flip(blob, PACK)
    return Found("input", name_of(blob), CHANGED, "the input")


@damage
def the_input_cut_short(home: Path) -> Found:
    blob = blob_with(home, PACK)
    blob.write_bytes(blob.read_bytes()[:-1])
    return Found("input", name_of(blob), CHANGED, "the input")


@damage
def the_list_of_documents_gone(home: Path) -> Found:
    blob = blob_with(home, INDEX)
    blob.unlink()
    return Found("input", name_of(blob), MISSING, "the list of the input's documents")


@damage
def the_count_of_answers_set_back(home: Path) -> Found:
    change(home, "UPDATE counters SET value = 1 WHERE name = 'settled'")
    return Found("database", "counter settled", CHANGED, "the order of new answers")
