"""A placeholder for an object that could not be saved, which raises an error with the reason when it is used."""

from typing import Any, NoReturn


class LostVariable(RuntimeError):
    """Something was used that could not be brought back when the REPL was restored."""


class Lost:
    """A placeholder. `what` names the kind of object, `why` says why it is not there."""

    def __init__(self, what: str, why: str) -> None:
        self.__dict__["what"] = what
        self.__dict__["why"] = why

    def __repr__(self) -> str:
        return f"<lost {self.what}: {self.why}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Lost, (self.what, self.why)

    def __getattr__(self, name: str) -> Any:
        # Python itself looks up dunder names to find out what an object can do.
        if name.startswith("__"):
            raise AttributeError(name)
        raise_lost(self)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise_lost(self)

    def __hash__(self) -> int:
        return id(self)


def raise_lost(self: Lost, *_: Any, **__: Any) -> NoReturn:
    """Raise LostVariable."""
    raise LostVariable(f"this {self.what} was lost when the REPL was restored ({self.why}); make it again")


_USES = (
    *("call", "iter", "next", "len", "bool", "contains", "getitem", "setitem", "delitem", "enter", "exit", "await"),
    *("aiter", "anext", "aenter", "aexit", "eq", "ne", "lt", "le", "gt", "ge", "int", "float", "index", "complex"),
    *("add", "radd", "iadd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "mod", "rmod", "pow"),
    *("and", "rand", "or", "ror", "xor", "matmul", "neg", "pos", "abs", "invert", "format", "fspath", "buffer"),
)
for _use in _USES:
    setattr(Lost, f"__{_use}__", raise_lost)
