"""The demo's offline model: rules that read the requests it receives."""

import json
from pathlib import Path

import pytest

from durable_rlm.nodes.replies.extract_code import read_reply
from durable_rlm.studio.demo import model
from durable_rlm.studio.demo.corpus import OFFLINE, corpus, judge

PLAIN = "warnings.warn('isSet() is deprecated, use is_set() instead', DeprecationWarning, stacklevel=2)"
MODULE = "warnings._deprecated(__name__, remove=(3, 13))"
TWO_STRINGS = """
_warnings.warn("Finder.find_module() is deprecated and "
               "slated for removal in Python 3.12; use find_spec()",
               DeprecationWarning)
"""
CLASS_NAME = 'warnings.warn(f"{self.__class__.__name__} is deprecated in favour of newer.Thing", DeprecationWarning)'
VARIABLE = """
msg = ("the load() method is deprecated and will be "
       "removed in Python 3.14")
warn(msg, DeprecationWarning)
"""
DOCSTRING = """
def method(self):
    \"""Deprecated, use 'source' instead.\"""
    warnings.warn(self.text, DeprecationWarning)
"""
JUDGED = [
    (PLAIN, ("isSet()", "is_set()", None)),
    (MODULE, ("shelf.old", None, "3.13")),
    (TWO_STRINGS, ("Finder.find_module()", "find_spec()", "3.12")),
    (CLASS_NAME, ("Klass", "newer.Thing", None)),
    (VARIABLE, ("load() method", None, "3.14")),
    (DOCSTRING, ("shelf.old.Klass.method()", "source", None)),
    ("no call at all", ("shelf.old.Klass.method()", None, None)),
    ("warnings.warn(", ("shelf.old.Klass.method()", None, None)),
]


@pytest.mark.parametrize(("excerpt", "expected"), JUDGED, ids=[excerpt[:30] for excerpt, _ in JUDGED])
def test_an_excerpt_is_judged_by_its_own_words(excerpt: str, expected: tuple[str | None, ...]) -> None:
    assert tuple(judge("shelf/old.py", "Klass.method", excerpt).values()) == expected


async def test_a_sub_call_answers_from_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.asyncio, "sleep", at_once)
    prompt = "What?\nFile: a.py, line 7, in f\n<excerpt>\nwarn('x.y is deprecated, use z.w instead')\n</excerpt>"
    assert json.loads(await model.sub(prompt)) == {"what": "x.y", "instead": "z.w", "removed_in": None}
    assert json.loads(await model.sub("something else")) == {"what": None, "instead": None, "removed_in": None}


async def at_once(seconds: float) -> None:
    del seconds


async def test_every_turn_has_code_that_runs_and_quotes_the_last_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.asyncio, "sleep", at_once)
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "Q?"}]
    replies: list[str] = []
    for turn in range(1, 6):
        replies.append(await model.root(messages))
        assert read_reply(replies[-1], truncated=False).blocks
        request = f"[Turn {turn}] The cell ran.\nOutput: - 503 documents 163 places in 70 files 75 name no replacement"
        messages += [{"role": "assistant", "content": replies[-1]}, {"role": "user", "content": request}]
    assert len(set(replies)) == 5 and "FINAL(" in replies[-1]
    assert "163 places in 70 files" in replies[2] and "75 name no replacement" in replies[3]


async def test_a_failed_cell_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.asyncio, "sleep", at_once)
    failed = [{"role": "user", "content": "[Turn 1] The cell ended in an error. Variables that were set"}]
    with pytest.raises(RuntimeError, match="no rule"):
        await model.root(failed)
    with pytest.raises(RuntimeError, match="no more turns"):
        await model.root([{"role": "user", "content": "[Turn 5] The cell ran."}])


def test_the_corpus_is_the_standard_library_alone() -> None:
    patterns = corpus()
    assert len(patterns) > 20 and any("/json/" in pattern for pattern in patterns)
    assert not any(f"/{name}/" in pattern for pattern in patterns for name in ("site-packages", "test", "idlelib"))
    assert Path(OFFLINE.removeprefix("scripted:")).is_file()
