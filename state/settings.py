"""A run's settings: types, defaults, sources, and what is frozen.

A flag wins over the environment (`RLM_…`), which wins over `rlm.toml` in the current folder, which may not set
everything unasked (`folder_settings.py`).
`RunSettings` is what a run freezes into its first checkpoint: plain data, no secrets, so that a resume
never silently gets other limits.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .approval_policy import gate_names, module_names
from .base_urls import saved_form
from .errors import StoreError, UsageError
from .folder_settings import FolderFile, FolderMay, FolderRule, collected
from .input.options import Encoding, PasswordPlaces
from .model_options import Options
from .model_specs import (
    MODEL_SETTINGS,
    ROOT_KEY,
    SUB_KEY,
    Fallback,
    ModelSpec,
    name_and_turns,
    provider_of,
    takes_base_url,
)
from .notify_targets import NotifyKey, NotifyTargets
from .setting_files import load_instructions, load_schema
from .setting_specs import SETTINGS

MOST_COUNT = 2**53
"""The largest limit: JSON numbers are exact up to it."""
MOST_SECONDS = MOST_DOLLARS = 1e9
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def whole_path(given: Any) -> Any:
    """Return a folder as an absolute path, because a run may be resumed from elsewhere."""
    return str(Path(given).expanduser().absolute()) if isinstance(given, str | Path) and str(given) else given or ""


def parse_size(text: str | int) -> int:
    """Return the bytes of `4G`, `512M`, `65536`. Raises ValueError on anything else."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"{text!r} is not a size; write 512M or 4G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_price(text: Any) -> Any:
    """Return `(input, output)` in dollars per million tokens from `2.5,10`."""
    if not isinstance(text, str):
        return text
    parts = text.split(",")
    try:
        if len(parts) != 2:
            raise ValueError
        return float(parts[0]), float(parts[1])
    except ValueError:
        raise ValueError(f"{text!r} is not a price; write IN,OUT in dollars per million tokens") from None


def absolute_script(name: Any) -> Any:
    """Make the path of `scripted:PATH` absolute, so that a resume from another folder finds it."""
    prefix = "scripted:"
    if not isinstance(name, str) or not name.startswith(prefix) or name == prefix:
        return name
    return f"{prefix}{Path(name.removeprefix(prefix)).expanduser().absolute()}"


def fallback_name(then: Any) -> Any:
    """Check `MODEL[@N]`. Raises ValueError."""
    if isinstance(then, str) and then:
        name_and_turns(then)
    return then


def with_numbers_that_can_be_saved(value: dict[str, Any]) -> dict[str, Any]:
    """Return plain JSON as it is. Raises ValueError for a whole number of more than 64 bits in it."""
    waiting: list[Any] = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                waiting += cast("dict[str, Any]", found).values()
            case list() as found:
                waiting += cast("list[Any]", found)
            case int() as number if not -(2**63) <= number < 2**63:
                raise ValueError("a whole number in it has more than 64 bits, which cannot be saved; write it as 1e30")
            case _:
                pass
    return value


ModelName = Annotated[str, BeforeValidator(absolute_script)]
"""A model, `provider:name`; the path of `scripted:PATH` is made absolute."""
FallbackName = Annotated[ModelName, BeforeValidator(fallback_name)]
"""A model that takes over, `provider:name` or `provider:name@N`."""
BaseUrl = Annotated[str, BeforeValidator(saved_form)]
"""The address of a server; what is saved of it has `***` in place of secrets (`base_urls.py`)."""
Folder = Annotated[str, BeforeValidator(whole_path)]
"""A folder, made absolute; empty: not given."""
Size = Annotated[int, BeforeValidator(parse_size)]
"""A number of bytes, also given as a text such as `512M` or `4G` (powers of 1024)."""
_Dollars = Annotated[float, Field(ge=0, le=MOST_DOLLARS)]
Price = Annotated[tuple[_Dollars, _Dollars], BeforeValidator(parse_price)]
"""The prices of input and of output in US dollars per million tokens, also given as a text such as `2.5,10`."""
Mode = Literal["rlm", "auto", "direct"]
"""The way in which a run answers (`RunSettings.mode`)."""
Schema = Annotated[dict[str, Any], BeforeValidator(load_schema), AfterValidator(with_numbers_that_can_be_saved)]
"""A JSON Schema, or the path of a JSON file that holds one."""
SavedOptions = Annotated[Options, AfterValidator(with_numbers_that_can_be_saved)]
"""Options of a model by name."""
Instructions = Annotated[str, BeforeValidator(load_instructions)]
"""A text, or the `Path` of a file that holds one."""
GateNames = Annotated[tuple[str, ...], BeforeValidator(gate_names)]
"""Names of gates, also given as a text with commas between them."""
Modules = Annotated[tuple[str, ...], BeforeValidator(module_names)]
"""Names of Python modules, also given as a text with commas between them."""


def _setting(name: str, default: Any, folder: FolderRule, **checks: Any) -> Any:
    """Return a field with what `setting_specs` says of it. `folder`: whether a folder's file may set it unasked."""
    spec = SETTINGS[name]
    field = Field(default=default, title=spec.title, description=spec.help, **checks)
    field.metadata.append(FolderMay(folder))
    return field


_MAY, _LOWER, _ASK = "may", "may lower", "by agreement"


class RunSettings(BaseModel):
    """The settings that one run was started with, frozen into its first checkpoint as plain JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    model: ModelName = _setting("model", "", _ASK)
    sub_model: ModelName = _setting("sub_model", "", _ASK)
    base_url: BaseUrl = _setting("base_url", "", _ASK)
    sub_base_url: BaseUrl = _setting("sub_base_url", "", _ASK)
    option: SavedOptions = _setting("option", {}, _ASK)
    sub_option: SavedOptions = _setting("sub_option", {}, _ASK)
    then: FallbackName = _setting("then", "", _ASK)
    then_base_url: BaseUrl = _setting("then_base_url", "", _ASK)
    mode: Mode = _setting("mode", "rlm", _MAY)
    max_turns: int = _setting("max_turns", 30, _LOWER, ge=1, le=MOST_COUNT)
    max_depth: int = _setting("max_depth", 1, _LOWER, ge=0, le=50)
    max_calls: int = _setting("max_calls", 2000, _LOWER, ge=1, le=MOST_COUNT)
    max_tokens: int | None = _setting("max_tokens", None, _LOWER, ge=1, le=MOST_COUNT)
    max_cost: float | None = _setting("max_cost", None, _LOWER, gt=0, le=MOST_DOLLARS)
    max_time: float | None = _setting("max_time", None, _LOWER, gt=0, le=MOST_SECONDS)
    strict_budget: bool = _setting("strict_budget", False, _LOWER)
    max_home_size: Size | None = _setting("max_home_size", None, _LOWER, ge=1 << 20, le=MOST_COUNT)
    price: Price | None = _setting("price", None, _ASK)
    sub_price: Price | None = _setting("sub_price", None, _ASK)
    concurrency: int = _setting("concurrency", 32, _LOWER, ge=1, le=1000)
    kernels: int | None = _setting("kernels", None, _ASK, ge=1, le=MOST_COUNT)
    cell_timeout: float = _setting("cell_timeout", 300, _LOWER, gt=0, le=MOST_SECONDS)
    kernel_idle: float = _setting("kernel_idle", 900, _LOWER, gt=0, le=MOST_SECONDS)
    memory: Size = _setting("memory", 4 << 30, _LOWER, ge=64 << 20, le=MOST_COUNT)
    unsandboxed: bool = _setting("unsandboxed", False, _ASK)
    kernel_env: Folder = _setting("kernel_env", "", _ASK)
    kernel_provisioner: str = _setting("kernel_provisioner", "", _ASK)
    approve: GateNames = _setting("approve", (), _ASK)
    allow_imports: Modules = _setting("allow_imports", (), _ASK)
    encoding: Encoding = _setting("encoding", "", _ASK)
    hidden: bool = _setting("hidden", False, _ASK)
    password: PasswordPlaces = _setting("password", (), _ASK)
    answer_schema: Schema | None = _setting("schema", None, _MAY, alias="schema")
    instructions: Instructions = _setting("instructions", "", _ASK)
    require_citations: bool = _setting("require_citations", False, _MAY)
    notify: NotifyTargets = _setting("notify", (), _ASK)
    notify_key: NotifyKey = _setting("notify_key", "", _ASK)

    @property
    def calls_model(self) -> str:
        """The name of the model that answers sub-calls."""
        return self.sub_model or self.model

    @property
    def root_spec(self) -> ModelSpec:
        """The root model, as it is asked."""
        own = ModelSpec(self.model, self.base_url, self.price, self.option)
        if self.sub_spec.identity != own.identity:
            own = replace(own, roles=("root",))
        # Once the fallback has taken over, it is the root model, and the key is not for its server.
        return self.fallback.spec if self.fallback and self.fallback.spec.identity == own.identity else own

    @property
    def fallback(self) -> Fallback | None:
        """The model that takes over from a failing root model, if there is one."""
        if not self.then:
            return None
        name, turns = name_and_turns(self.then)
        return Fallback(ModelSpec(name, self.then_base_url, self.price, key_names=(), roles=("root",)), turns)

    @property
    def fallen_back(self) -> "RunSettings | None":
        """The settings with the fallback as the root model; None without one, or when it is that already."""
        if self.fallback is None or self.fallback.spec.identity == self.root_spec.identity:
            return None
        model, sub = self.fallback.spec, self.sub_spec
        other = {
            **{"model": model.name, "base_url": model.base_url, "price": model.price, "option": {}},
            **{"sub_model": sub.name, "sub_base_url": sub.base_url, "sub_price": sub.price},
            "sub_option": dict(sub.options),
        }
        return self.model_copy(update=other)

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The models of the run, each once."""
        every = [self.root_spec, self.sub_spec, *([self.fallback.spec] if self.fallback else [])]
        return tuple({spec.identity: spec for spec in reversed(every)}.values())[::-1]

    @property
    def sub_spec(self) -> ModelSpec:
        """The model that answers sub-calls, as it is asked."""
        name = self.calls_model
        # The root model's address is for OpenAI-compatible servers, which the sub-model of another provider is not.
        base_url = self.sub_base_url or (self.base_url if takes_base_url(name) or name == self.model else "")
        # Nobody's key is sent to another server than the one that it is for.
        same_server = (provider_of(name), base_url) == (provider_of(self.model), self.base_url)
        keys = (SUB_KEY, ROOT_KEY) if same_server else (SUB_KEY,)
        # Options are for one model: those of the root model count for sub-calls when it answers them, too.
        own = {**self.option, **self.sub_option} if same_server and name == self.model else self.sub_option
        sub = ModelSpec(name, base_url, self.sub_price or self.price, own, keys)
        # Sub-RLMs have it as their root model.
        only_sub = self.max_depth < 2 and name != self.model
        return replace(sub, roles=("sub",)) if only_sub else sub

    def spec_of(self, name: str) -> ModelSpec | None:
        """Return the configured model that code names, or None. The sub-model comes first: code makes sub-calls."""
        return next((spec for spec in (self.sub_spec, self.root_spec) if spec.name == name), None)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names that code may give to `model=`, sorted."""
        return tuple(sorted({self.model, self.calls_model}))

    def of_models(self) -> dict[str, Any]:
        """Return the settings that a resume may change, as plain JSON."""
        return self.model_dump(mode="json", include=set(MODEL_SETTINGS))

    def frozen(self) -> dict[str, Any]:
        """Return plain JSON for the first checkpoint, without places of passwords; `saved_settings` reads it back."""
        return self.model_dump(mode="json", by_alias=True, exclude={"password"})


class _Environment(EnvSettingsSource):
    """The variables `RLM_…`. That of the instructions names a file, as the flag does."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        if named := values.get("instructions"):
            values["instructions"] = Path(named)
        return values


class _Resolver(RunSettings, BaseSettings):
    """The same settings, read from flags, then the environment, then `rlm.toml`."""

    model_config = SettingsConfigDict(
        # For aliases too: `schema` is read from RLM_SCHEMA, not from SCHEMA.
        env_prefix="RLM_",
        env_prefix_target="all",
        extra="ignore",
        env_ignore_empty=True,
        enable_decoding=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls), FolderFile(settings_cls)


@dataclass(frozen=True)
class Resolved:
    """The settings of a new run, and what of them only a folder's file says."""

    settings: RunSettings
    of_folder: Mapping[str, Any]
    """Values in `./rlm.toml` that apply, by name."""
    chosen: frozenset[str] = frozenset()
    """Names of the settings that are given somewhere; the others have their defaults."""


def resolve_settings(flags: dict[str, Any]) -> RunSettings:
    """Return the settings of a new run, as `resolve` finds them."""
    return resolve(flags).settings


def resolve(flags: dict[str, Any]) -> Resolved:
    """Resolve the settings of a new run: `flags` (None means not given), then `RLM_…`, then `./rlm.toml`.

    Raises UsageError, naming the setting, for an unknown flag and a value that makes no sense; NotAgreed for what the
    file may not set before the user has agreed to it.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    known = set(RunSettings.model_fields) | {"schema"}
    if unknown := sorted(set(given) - known):
        raise UsageError(f"There is no setting named {', '.join(unknown)}.", hint="See `rlm run --help`.")
    try:
        with collected() as of_folder:
            resolved = _Resolver(**given)
    except ValidationError as error:
        raise UsageError(first_problem(error, given), hint="See `rlm run --help`.") from error
    chosen = frozenset(resolved.model_fields_set)
    return Resolved(RunSettings.model_validate(resolved.model_dump()), of_folder, chosen)


def saved_settings(frozen: Mapping[str, Any]) -> RunSettings:
    """Read the settings that a run was frozen with. Raises StoreError for those that this version does not know."""
    try:
        return RunSettings.model_validate(frozen)
    except ValidationError as error:
        raise StoreError(
            f"The run was saved by another version of durable-rlm: {first_problem(error)}",
            hint="Install the version that saved it, or a later one, and resume it with `rlm resume`.",
        ) from error


def first_problem(error: ValidationError, flags: Mapping[str, Any] | None = None) -> str:
    """Return what is wrong with which setting, named as it was given. `flags`: those given."""
    problem = error.errors()[0]
    name = str(problem["loc"][0]) if problem["loc"] else ""
    variable = f"RLM_{name.upper()}"
    if flags is None or name in flags:
        named = f"--{name.replace('_', '-')}"
    else:
        named = variable if os.environ.get(variable) else f"{name} in rlm.toml"
    return f"{named}: {problem['msg'].removeprefix('Value error, ')}."
