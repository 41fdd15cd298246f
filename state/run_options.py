"""The settings of a run as keyword arguments of the Python API, by what they are for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypedDict

from .model_specs import MODEL_SETTINGS
from .settings import Mode


class LimitOptions(TypedDict, total=False):
    """Limits as keyword arguments, by their names in `RunSettings`; None: not given.

    A new run then has the default, a run that is resumed keeps its limit, and a fork has that of its parent.
    """

    max_turns: int | None
    max_calls: int | None
    max_tokens: int | None
    max_cost: float | None
    max_time: float | None
    strict_budget: bool | None
    max_home_size: int | str | None


def limits_among(options: Mapping[str, Any]) -> LimitOptions:
    """Return those of the options that are limits, and those that are no settings of models, which are reported."""
    return cast(LimitOptions, {name: value for name, value in options.items() if name not in MODEL_SETTINGS})


class ModelOptions(TypedDict, total=False):
    """Models and how they are asked, as keyword arguments; None: not given. Texts are read as on the command line.

    A run that is resumed, or forked, keeps what is not given.
    """

    model: str | None
    sub_model: str | None
    base_url: str | None
    sub_base_url: str | None
    price: tuple[float, float] | str | None
    sub_price: tuple[float, float] | str | None
    option: Sequence[str] | Mapping[str, Any] | str | None
    sub_option: Sequence[str] | Mapping[str, Any] | str | None
    then: str | None
    then_base_url: str | None


class ResumeOptions(LimitOptions, ModelOptions, total=False):
    """Settings that may change when a run is resumed or forked; None: not given."""


class RunOptions(ResumeOptions, total=False):
    """The settings of a run as keyword arguments; None: not given.

    Texts are read as on the command line, except for `instructions`: these are the text itself, and a `Path` is a file.
    """

    mode: Mode | None
    max_depth: int | None
    concurrency: int | None
    kernels: int | None
    cell_timeout: float | None
    kernel_idle: float | None
    memory: int | str | None
    unsandboxed: bool | None
    kernel_env: str | Path | None
    kernel_provisioner: str | None
    approve: str | Sequence[str] | None
    allow_imports: str | Sequence[str] | None
    encoding: str | None
    hidden: bool | None
    password: str | Sequence[str] | None
    schema: Mapping[str, Any] | str | Path | None
    instructions: str | Path | None
    require_citations: bool | None
    notify: str | Sequence[str] | None
    notify_key: str | None
