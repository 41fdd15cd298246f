"""The contract of display forms: which variables have one after a cell, and that no value harms the cell by it."""

from typing import Any

from durable_rlm.kernel.inside.protocol import MAX_DISPLAYS
from durable_rlm.kernel.posted_displays import displays_text
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Kernels, KernelSession, KernelSpec
from tests.contract.session_contract import Store, run

HOSTILE = """
def raises(*_, **__):
    raise ValueError('no')

class Evil:
    __len__ = __iter__ = __str__ = __repr__ = __hash__ = __eq__ = __format__ = raises
    text = property(raises)

class Endless:
    def __init__(self):
        self.kept = 1
    def __getattr__(self, name):
        return Endless()
    @property
    def never(self):
        while True: pass

class EvilDict(dict):
    items = keys = __iter__ = __len__ = __getitem__ = raises

class EvilList(list):
    __iter__ = __len__ = __getitem__ = raises

class EvilText(str):
    __len__ = __getitem__ = __str__ = __format__ = encode = raises

evil, evils = Evil(), [{'a': Evil()}, {'a': Evil()}]
endless = [Endless()]
pairs, listed, text = EvilDict(a=1), EvilList([1, 2]), EvilText('words')
cycle = [1]; cycle.append(cycle)
deep = []
for _ in range(400):
    deep = [deep]
odd = ['\\ud800', '\\0', 10**10_000, float('nan'), float('inf')]
megabytes = 'x' * 5_000_000
"""


def value(text: str) -> dict[str, Any]:
    return {"kind": "value", "text": text}


class DisplayContract:
    """The promises about display forms. `kernels` and `session` are fixtures of `SessionContract`."""

    async def test_a_cell_gives_display_forms_of_the_variables_that_it_has_changed(
        self, session: KernelSession
    ) -> None:
        first = await run(session, "count, words, _own = 1, 'some words', 2\nimport json")
        assert dict(first.displays) == {
            "count": value("1"),
            "words": {"kind": "text", "text": "some words", "length": 10},
        }
        assert dict((await run(session, "1 + 1", turn=2)).displays) == {}
        assert dict((await run(session, "count += 1", turn=3)).displays) == {"count": value("2")}
        await run(session, "kept = {'a': {'b': {'c': {'d': [1]}}}}", turn=4)
        assert list((await run(session, "kept['a']['b']['c']['d'].append(2)", turn=5)).displays) == ["kept"]
        failed = await run(session, "words = 'others'\nraise ValueError('no')", turn=6)
        assert failed.status == "error" and list(failed.displays) == ["words"]

    async def test_a_restored_kernel_gives_forms_of_later_changes_only(
        self, kernels: Kernels, session: KernelSession
    ) -> None:
        store = Store()
        store.keep(await run(session, "a = [1]\nb = 2"))
        other = await kernels.start(KernelSpec("thread"))
        await other.restore(list(store.groups.values()), store.batches())
        assert list((await run(other, "b = 3", turn=2)).displays) == ["b"]

    async def test_hostile_values_do_not_harm_the_cell(self, session: KernelSession) -> None:
        result = await run(session, HOSTILE)
        assert (result.status, result.error) == ("ok", None)
        check_room(result)
        shown = result.displays
        assert shown["endless"] == {
            "kind": "list",
            "items": [{"kind": "map", "items": [["kept", value("1")]], "length": 1}],
            "length": 1,
        }
        assert shown["evils"] == {
            **{"kind": "table", "columns": ["a"], "rows": [["<Evil>"], ["<Evil>"]]},
            **{"length": 2, "width": 1},
        }
        assert shown["pairs"] == {"kind": "map", "items": [["a", value("1")]], "length": 1}
        assert shown["text"] == {"kind": "text", "text": "words", "length": 5}
        assert shown["megabytes"] and shown["megabytes"]["length"] == 5_000_000
        assert "cut" in (shown["deep"] or {}) and "cut" in (shown["cycle"] or {})
        [surrogate, nul, huge, *_] = (shown["odd"] or {})["items"]
        assert surrogate["text"] == "\ufffd" and nul["text"] == "\0" and "10,000 digits" in huge["text"]
        assert (await run(session, "len(megabytes)", turn=2)).output == "5000000\n"
        many = await run(session, "for n in range(1_000):\n    globals()[f'v{n:03}'] = [n] * (n % 10)", turn=3)
        check_room(many)
        assert len(many.displays) > 50 and many.displays["v000"] == {"kind": "list", "items": [], "length": 0}
        assert many.displays["…"] is None, "others have changed as well"


def check_room(result: CellResult) -> None:
    """Check that the forms of a cell take no more room than they may."""
    assert result.displays and len(displays_text(result.displays).encode()) <= MAX_DISPLAYS
