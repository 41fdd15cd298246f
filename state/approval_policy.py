"""Gates: the rules in a run's settings for what has to wait for approval."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

CodePolicy = Literal["any", "writes", "imports", "calls"]
"""The cells to review: all, or those that write files, import unlisted modules, or fan out."""

FORMS = "code, code:writes, code:imports, code:calls, calls, calls>N, cost>USD, final, budget, all"
_CALLS = re.compile(r"calls(?:>(\d{1,9}))?")
_COST = re.compile(r"cost>(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})")
_ALL = ("code", "calls", "final", "budget")


@dataclass(frozen=True)
class Gates:
    """The parsed gates of a run."""

    code: frozenset[CodePolicy] = frozenset()
    calls: int | None = None
    """The number of sub-calls that a cell may send without approval; None: no limit."""
    cost: float | None = None
    """Dollars that may be spent before a reviewer is asked, and again after each further such amount."""
    final: bool = False
    budget: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> "Gates":
        """Parse gates; of several gates with amounts, the strictest applies. Raises ValueError."""
        wanted = [word for name in names for word in (_ALL if name == "all" else (name,))]
        calls = [int(found[1] or 0) for name in wanted if (found := _CALLS.fullmatch(name))]
        costs = [float(found[1]) for name in wanted if (found := _COST.fullmatch(name))]
        known = [name for name in wanted if _is_plain(name) or _CALLS.fullmatch(name) or _COST.fullmatch(name)]
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(f"{unknown[0]!r} is no gate; there are {FORMS}")
        if 0.0 in costs:
            raise ValueError("cost>0 would ask for ever; name an amount, as in cost>0.50")
        return cls(
            code=frozenset(policy for policy in get_args(CodePolicy) if _code(policy) in wanted),
            calls=min(calls, default=None),
            cost=min(costs, default=None),
            final="final" in wanted,
            budget="budget" in wanted,
        )

    @property
    def hold_calls(self) -> bool:
        """True when sub-calls may have to wait for approval."""
        return self.calls is not None or self.cost is not None or self.budget


def without_final(names: Iterable[str]) -> tuple[str, ...]:
    """Return the same gates without `final`."""
    words = [word for name in names for word in (_ALL if name == "all" else (name,)) if word != "final"]
    return tuple(dict.fromkeys(words))


def _code(policy: str) -> str:
    return "code" if policy == "any" else f"code:{policy}"


def _is_plain(name: str) -> bool:
    return name in {"final", "budget", *(_code(policy) for policy in get_args(CodePolicy))}


def gate_names(given: Any) -> Any:
    """Return the names of gates from a list or a comma-separated text, each once. Raises ValueError if unknown."""
    if isinstance(given, str):
        given = [word.strip() for word in given.split(",")]
    if not isinstance(given, list | tuple):
        return given
    names = [name.strip() if isinstance(name, str) else name for name in given]
    words = [name for name in names if isinstance(name, str) and name]
    if len(words) == len([name for name in names if name != ""]):
        Gates.of(words)
        return tuple(dict.fromkeys(words))
    return given


def module_names(given: Any) -> Any:
    """Return module names from a list or a comma-separated text, each once."""
    if isinstance(given, str):
        given = given.split(",")
    if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))
    return given
