"""Gates as they are given in settings."""

from pathlib import Path

import pytest

from durable_rlm.state import agreements
from durable_rlm.state.approval_policy import Gates, without_final
from durable_rlm.state.errors import UsageError
from durable_rlm.state.settings import resolve_settings


def test_each_form_of_a_gate_is_parsed() -> None:
    gates = Gates.of(["code:writes", "code:imports", "calls>100", "cost>0.50", "final", "budget"])
    assert gates == Gates(frozenset({"writes", "imports"}), 100, 0.5, True, True)
    assert Gates.of(["calls"]).calls == 0
    assert Gates.of(["code"]).code == {"any"}
    assert Gates.of([]) == Gates()


def test_all_includes_each_gate_that_takes_no_number() -> None:
    assert Gates.of(["all"]) == Gates(frozenset({"any"}), 0, None, True, True)


def test_the_strictest_of_several_gates_applies() -> None:
    gates = Gates.of(["calls>100", "calls>7", "cost>2", "cost>.5"])
    assert (gates.calls, gates.cost) == (7, 0.5)


@pytest.mark.parametrize("name", ["codes", "calls>", "calls>x", "cost", "cost>0", "cost>-1", "code:any", "", "final "])
def test_an_unknown_gate_is_refused_with_a_list_of_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"no gate; there are code, .*all|would ask for ever"):
        Gates.of([name])


def test_gates_come_from_flags_the_environment_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("rlm.toml").write_text('approve = ["final"]\n')
    with agreements.trusting():
        assert resolve_settings({}).approve == ("final",)
    tmp_path.joinpath("rlm.toml").unlink()
    monkeypatch.setenv("RLM_ALLOW_IMPORTS", "yaml, numpy")
    assert resolve_settings({}).allow_imports == ("yaml", "numpy")
    monkeypatch.setenv("RLM_APPROVE", "code, calls>10,code")
    assert resolve_settings({}).approve == ("code", "calls>10")
    assert resolve_settings({"approve": ["budget"]}).approve == ("budget",)
    with pytest.raises(UsageError, match="'coed' is no gate"):
        resolve_settings({"approve": ["coed"]})


def test_a_sub_rlm_has_all_gates_except_final() -> None:
    assert without_final(["all", "cost>1"]) == ("code", "calls", "budget", "cost>1")
