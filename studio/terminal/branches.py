"""Trees as lines: each thing behind guides that show what it is below of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def drawn(
    roots: Sequence[T], below: Callable[[T], Sequence[T]], most: int | None = None
) -> Iterator[tuple[str, T | int]]:
    """Everything with its guides, the roots without; of each level of each the first `most`.

    A number stands for so many that are left out.
    """
    yield from _level(roots, below, most, "", root=True)


def _level(
    things: Sequence[T], below: Callable[[T], Sequence[T]], most: int | None, guides: str, *, root: bool
) -> Iterator[tuple[str, T | int]]:
    shown = things[:most]
    left = len(things) - len(shown)
    for place, thing in enumerate(shown):
        last = place == len(shown) - 1 and not left
        yield guides + _fork(root=root, last=last), thing
        under = "" if root else ("  " if last else "│ ")
        yield from _level(below(thing), below, most, guides + under, root=False)
    if left:
        yield guides + _fork(root=root, last=True), left


def _fork(*, root: bool, last: bool) -> str:
    if root:
        return ""
    return "└ " if last else "├ "


class Forest:
    """Names, each below another one of them or below none."""

    def __init__(self, above: Mapping[str, str | None]) -> None:
        """`above`: what each is below of. What is none of the names counts as none."""
        self.roots = [name for name, over in above.items() if over not in above]
        self._below: dict[str, list[str]] = {name: [] for name in above}
        for name, over in above.items():
            if over in self._below:
                self._below[over].append(name)
        # Damaged rows may say that runs are below each other: none of them is hidden for that.
        reached = {one for root in self.roots for one in (root, *self._all_below(root))}
        for name in (circling := [name for name in above if name not in reached]):
            self._below[name] = [one for one in self._below[name] if one in reached]
        self.roots += circling

    def below(self, name: str) -> list[str]:
        """Those just below it."""
        return self._below[name]

    def count_below(self, name: str) -> int:
        """How many are below it, those below them included."""
        return sum(1 for _ in self._all_below(name))

    def drawn(self) -> Iterator[tuple[str, str]]:
        """All of them, each with its guides."""
        for guides, name in drawn(self.roots, self.below):
            yield guides, str(name)

    def _all_below(self, name: str) -> Iterator[str]:
        waiting = list(self._below[name])
        while waiting:
            yield (one := waiting.pop())
            waiting += self._below[one]
