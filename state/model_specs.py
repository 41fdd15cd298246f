"""The models of a run by role, and how each is asked: the specification that a client is opened with.

A run has two roles: the root model, which writes code, and the sub-model, which answers the calls of that code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ModelRole = Literal["root", "sub"]
"""`root`: writes the code of a run; `sub`: answers its sub-calls."""
ROOT_KEY, SUB_KEY = "RLM_API_KEY", "RLM_SUB_API_KEY"
"""The environment variables of the roles' keys. They take precedence over those of the providers."""

MODEL_SETTINGS = (
    *("model", "sub_model", "base_url", "sub_base_url", "price", "sub_price", "option", "sub_option"),
    *("then", "then_base_url"),
)
"""Settings that name the models and how they are asked. `rlm resume` and `rlm fork` may change them."""


@dataclass(frozen=True)
class ModelSpec:
    """A model, its server and its options."""

    name: str
    """`provider:model`."""
    base_url: str = ""
    """An OpenAI-compatible server; empty: the provider's own."""
    price: tuple[float, float] | None = None
    """The user's prices in US dollars per million tokens of input and of output; None: those of the list."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of requests (`model_options.py`)."""
    key_names: tuple[str, ...] = (ROOT_KEY,)
    """The environment variables that may hold its key, tried in this order before the provider's own."""
    roles: tuple[ModelRole, ...] = ("root", "sub")
    """The roles that it is asked in."""

    @property
    def identity(self) -> tuple[str, ...]:
        """All that distinguishes its client from others of a run."""
        return self.name, self.base_url, repr(sorted(self.options.items())), repr(self.price)


@dataclass(frozen=True)
class Fallback:
    """The model that takes over from a root model that fails."""

    spec: ModelSpec
    after: int
    """The failed turns, one after another, after which it does."""


FAILED_TURNS = 3
"""The failed turns after which a fallback takes over, unless given."""
_NAME_AND_TURNS = re.compile(r"(.+)@(\d{1,3})")
"""`MODEL@N`. Names may end in `@` and a date, which is longer."""


def name_and_turns(then: str) -> tuple[str, int]:
    """Return the model and the number of failed turns of `MODEL[@N]`. Raises ValueError for no turns."""
    found = _NAME_AND_TURNS.fullmatch(then)
    if found is None:
        return then, FAILED_TURNS
    if not int(found[2]):
        raise ValueError("a fallback takes over after 1 failed turn or more")
    return found[1], int(found[2])


def provider_of(name: str) -> str:
    """Return the provider of `provider:model`."""
    return name.partition(":")[0]


def takes_base_url(name: str) -> bool:
    """Return whether a base URL is for this model: other providers' clients speak protocols of their own."""
    return provider_of(name) == "openai"
