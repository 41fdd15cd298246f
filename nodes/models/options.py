"""Apply a model's options: read its secrets, check what its provider can express, and lay out what to set where."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...state.errors import ModelSetupError
from ...state.model_options import BODY, ENV, HEADER, is_header_value, parse_options
from .provider_table import Provider

_CALL = "call."


@dataclass(frozen=True)
class RequestOptions:
    """A model's options, with the values of secrets."""

    temperature: float | None = None
    top_p: float | None = None
    effort: str | None = None
    seed: int | None = None
    max_output: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that were read from the environment."""

    def completions_body(self) -> dict[str, Any]:
        """Return the fields that they add to the body of a chat completions request."""
        named = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "reasoning_effort": self.effort,
        }
        return {**{name: value for name, value in named.items() if value is not None}, **self.body}


def resolve_options(options: Mapping[str, Any]) -> RequestOptions:
    """Return the options with `env:NAME` replaced by that variable's value. Raises ModelSetupError."""
    try:
        given = parse_options(options)
    except ValueError as error:
        raise ModelSetupError(f"An option of the model is wrong: {error}.", hint="See docs/models.md.") from None
    headers: dict[str, str] = {}
    secrets: list[str] = []
    for name in [name for name in given if name.startswith(HEADER)]:
        value = given.pop(name)
        if value.startswith(ENV):
            value = _from_environment(name, value.removeprefix(ENV))
            # Servers echo the key without the word before it.
            secrets += [value, value.rpartition(" ")[2]]
        headers[name.removeprefix(HEADER)] = value
    body = {name.removeprefix(BODY): given.pop(name) for name in list(given) if name.startswith(BODY)}
    return RequestOptions(**given, headers=headers, body=body, secrets=tuple(dict.fromkeys(secrets)))


def _from_environment(option: str, variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ModelSetupError(
            f"The option {option} is the variable {variable}, which is not set.",
            hint=f"Set {variable}, or leave the option out.",
        )
    if not is_header_value(value):
        raise ModelSetupError(
            f"The option {option} is the variable {variable}, which holds characters that no header has.",
            hint=f"Copy {variable} again.",
        )
    return value


def check_sampling(name: str, provider: Provider, options: RequestOptions) -> None:
    """Raise ModelSetupError for a temperature or top_p that the model `provider:name` is known to refuse."""
    fixed = provider.fixed_sampling
    if fixed is None or not fixed.match(name.partition(":")[2].lower()):
        return
    if provider.sampling_without_effort and options.effort == "none":
        return
    for option, value in (("temperature", options.temperature), ("top_p", options.top_p)):
        # 1 is what these models use.
        if value is not None and value != 1:
            hint = "Leave it out"
            hint += ", or add the option effort=none." if provider.sampling_without_effort else "."
            raise ModelSetupError(f"{name} takes no option {option}.", hint=hint)


@dataclass(frozen=True)
class Settings:
    """Values that options set on a LangChain chat model."""

    fields: dict[str, Any]
    """Fields of the chat model."""
    call: dict[str, Any]
    """Keyword arguments of each request."""


def settings_of(name: str, provider: Provider, options: RequestOptions) -> Settings:
    """Return what the options set on the chat model of `provider:name`, except for headers of its HTTP client.

    Raises ModelSetupError for an option that the provider cannot express.
    """
    check_sampling(name, provider, options)
    places: dict[str, Any] = {}
    for option in ("temperature", "top_p", "seed"):
        if (value := getattr(options, option)) is not None:
            places[_place(name, option, getattr(provider, option))] = value
    if options.effort is not None:
        if options.effort not in provider.efforts:
            known = ", ".join(provider.efforts)
            hint = f"It takes {known}." if known else "Leave it out."
            raise ModelSetupError(f"{name} takes no option effort={options.effort}.", hint=hint)
        places |= provider.efforts[options.effort]
    if options.headers:
        place = _place(name, f"header.{next(iter(options.headers))}", provider.headers)
        places |= {} if place == "async_client" else {place: dict(options.headers)}
    settings = Settings({}, {})
    for place, value in places.items():
        _put(settings, place, value)
    for key, value in options.body.items():
        place = _place(name, f"body.{key}", provider.body)
        if place == "fields":
            place = _place(name, f"body.{key}", key if key in provider.body_fields else "", provider.body_fields)
            _put(settings, place, value)
        else:
            _put(settings, f"{place}.{key}", value)
    return settings


def _place(name: str, option: str, place: str, known: frozenset[str] = frozenset()) -> str:
    if place:
        return place
    hint = f"There are {', '.join(f'body.{one}' for one in sorted(known))}." if known else "Leave it out."
    raise ModelSetupError(f"{name} takes no option {option}.", hint=hint)


def _put(settings: Settings, place: str, value: Any) -> None:
    """Set one value at its place, of which the first part is a field, and the others are names of dicts in it."""
    inner: dict[str, Any] = settings.call if place.startswith(_CALL) else settings.fields
    *path, last = place.removeprefix(_CALL).split(".")
    for part in path:
        inner = inner.setdefault(part, {})
    inner[last] = value
