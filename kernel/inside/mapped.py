"""The result of `map_query`: a value for each item, and why there is none for some."""

from typing import Any, NamedTuple


class Failure(NamedTuple):
    """An item without a value."""

    index: int  # type: ignore[assignment]
    item: str
    """The beginning of its text."""
    why: str


class Mapped(list[Any]):
    """The values in the order of the items, None for an item that has none.

    `.failures` says which those are and why: `(index, item, why)`. `.by_key` is a dict of the values by the keys of the
    items. `.quotes` has a Citation for each value that was asked for with `quote=True`.
    """

    def __init__(
        self,
        values: "list[Any] | tuple[Any, ...]" = (),
        failures: "list[Failure] | None" = None,
        keys: "list[Any] | None" = None,
        quotes: "list[Any] | None" = None,
    ) -> None:
        """`keys`: one for each value; None: their indexes."""
        super().__init__(values)
        self.failures = failures or []
        self.keys = list(range(len(self))) if keys is None else keys
        self.quotes = [None] * len(self) if quotes is None else quotes

    @property
    def values(self) -> list[Any]:
        """The values as a plain list."""
        return list(self)

    @property
    def by_key(self) -> dict[Any, Any]:
        """The values by the keys of their items."""
        return dict(zip(self.keys, self, strict=False))

    def __reduce__(self) -> tuple[Any, ...]:
        return Mapped, (list(self), self.failures, self.keys, self.quotes)
