"""Changes of a saved run's models: another model, server, price or option answers from a step on.

A run keeps the settings that it was started with. These few may be changed when it is resumed or forked, in so
many words, never by the environment or a folder's file: a run that died with its server continues with another one. The
change is a step of the run. What is recorded stays: its keys do not depend on the models (`state/call_keys.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from ..nodes.models.urls import shown
from ..nodes.runtime.dependencies import Dependencies
from ..state.budget import Limits
from ..state.errors import UsageError
from ..state.model_options import parse_options
from ..state.model_specs import MODEL_SETTINGS, provider_of, takes_base_url
from ..state.run_options import ModelOptions
from ..state.run_state import FormerModels, RunInput, RunState
from ..state.settings import RunSettings, first_problem, saved_settings
from .approvals import withdrawn
from .create import check_models, check_prices


@dataclass(frozen=True)
class ModelChange:
    """The settings that are in force from a step on, and the change of the state that brings them in."""

    settings: RunSettings
    values: Mapping[str, Any]
    """New values of the state."""
    summary: str

    def start(self, before: Mapping[str, Any]) -> RunInput:
        """Return the input of a run that has not begun."""
        return cast(RunInput, {**before, "settings": self.settings.frozen()})


def given_models(options: Mapping[str, Any]) -> ModelOptions:
    """Return those of the options that say who answers and how, as far as they were given."""
    return cast(ModelOptions, {name: options[name] for name in MODEL_SETTINGS if options.get(name) is not None})


def changed_settings(current: RunSettings, given: ModelOptions) -> RunSettings:
    """Return `current` with the given settings. Raises UsageError for a value that makes no sense.

    What belongs to the former model alone goes with it: its price, and an address that is of no use to the new one.
    """
    changes: dict[str, Any] = dict(given)
    for prefix in ("", "sub_"):
        name, before = given.get(f"{prefix}model"), getattr(current, f"{prefix}model")
        if name is None or name == before:
            continue
        changes.setdefault(f"{prefix}price", None)
        if not takes_base_url(name):
            changes.setdefault(f"{prefix}base_url", "")
        if provider_of(name) != provider_of(before):
            changes.setdefault(f"{prefix}option", {})
    try:
        for name in {"option", "sub_option"} & given.keys():
            # One of several options may be given anew.
            changes[name] = {**getattr(current, name), **parse_options(given[name])}
        return RunSettings.model_validate({**current.frozen(), **changes})
    except ValidationError as error:
        raise UsageError(first_problem(error, changes), hint="See `rlm resume --help`.") from error
    except ValueError as error:
        raise UsageError(f"--option: {error}.", hint="See `rlm resume --help`.") from error


def with_models_of(settings: RunSettings, other: RunSettings) -> RunSettings:
    """Return `settings` with the models of the other ones."""
    return RunSettings.model_validate({**settings.frozen(), **other.of_models()})


def model_change(state: RunState, current: RunSettings, settings: RunSettings) -> ModelChange | None:
    """Return the change from `current` to `settings` at this state; None when the models stay as they are."""
    before, after = current.of_models(), settings.of_models()
    if before == after:
        return None
    turn = state.get("turn", 0)
    former: FormerModels = {"until": turn, "settings": before}
    summary = _summary(current, settings)
    values = {
        "settings": settings.frozen(),
        "former_models": [*state.get("former_models", []), former],
        # Reviewers were shown the former models. What they allowed to be spent stays.
        **{name: value for name, value in withdrawn(state).items() if name != "leave"},
        "step": [{"kind": "edit", "turn": turn, "summary": summary}],
    }
    return ModelChange(settings, values, summary)


def change_at(start: Mapping[str, Any], state: RunState, given: ModelOptions) -> ModelChange | None:
    """Return the change of a run that `given` asks for; None for none. `start`: the input it was started with.

    Raises UsageError.
    """
    current = saved_settings(state.get("settings") or start.get("settings", {}))
    return model_change(state, current, changed_settings(current, given)) if given else None


async def check_change(settings: RunSettings, limits: Limits, deps: Dependencies) -> None:
    """Check that the models can be asked, and priced where dollars are limited. Raises UsageError, ModelSetupError."""
    check_prices(settings, limited=limits.max_cost is not None)
    await check_models(settings, deps)


def _summary(before: RunSettings, after: RunSettings) -> str:
    """Return what has changed, in words: `sub-model: openai:small at http://127.0.0.1:8000/v1`."""
    changed: list[str] = []
    for role, was, now in (
        ("model", before.root_spec, after.root_spec),
        ("sub-model", before.sub_spec, after.sub_spec),
    ):
        if was.identity != now.identity:
            where = f" at {shown(now.base_url)}" if now.base_url else ""
            changed.append(f"{role}: {now.name}{where}")
    return "; ".join(changed) or "other settings of the models"
