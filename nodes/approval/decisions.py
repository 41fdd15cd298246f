"""Read a reviewer's answer, which is untrusted input: one fitting decision for each action, or why it is unusable."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ...state.approval_records import ActionRequest, Decision, ReviewRequest
from ...state.errors import UsageError
from .call_listing import unchanged
from .edited_code import check_code
from .requests import BUDGET, CALLS, CODE, FINAL, SPEND, allowed

_FORM = 'an answer is {"decisions": [{"type": "approve"}, …]}, one for each action request, in order'


class DecisionsUnusable(ValueError):
    """Raised for an answer that decides nothing; says why as a sentence."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Edited(_Lenient):
    args: dict[str, Any]


class _Decision(_Lenient):
    type: Literal["approve", "edit", "reject", "respond"]
    edited_action: _Edited | None = None
    message: str | None = Field(default=None, max_length=1 << 20)


class _Answer(_Lenient):
    decisions: list[_Decision] = Field(max_length=100_000)
    shown: str | None = None


class _Code(_Lenient):
    code: str = Field(min_length=1)


class _Call(_Lenient):
    key: str
    prompt: str = Field(min_length=1, max_length=64 << 20)


def _read(value: Any) -> Any:
    """Return a field's value, read as JSON if it is text: forms send every field as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


class _Calls(_Lenient):
    calls: Annotated[list[_Call], BeforeValidator(_read)] = Field(max_length=100_000)


class _Spend(_Lenient):
    up_to_usd: float = Field(gt=0, allow_inf_nan=False)


class _Budget(_Lenient):
    limit: float = Field(gt=0, allow_inf_nan=False)


class _Final(_Lenient):
    answer: Any = Field()


_EDITS: dict[str, type[_Lenient]] = {CODE: _Code, CALLS: _Calls, SPEND: _Spend, BUDGET: _Budget, FINAL: _Final}
_ANSWER = TypeAdapter(_Answer)


def decisions_in(answer: Any, request: ReviewRequest | Mapping[str, Any]) -> list[Decision]:
    """Return the decisions in an answer to `request`. Raises DecisionsUnusable."""
    actions = cast(Sequence[ActionRequest], request["action_requests"])
    try:
        given = _ANSWER.validate_python(answer)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise DecisionsUnusable(
            f"That is no answer ({place + ': ' if place else ''}{problem['msg']}): {_FORM}."
        ) from None
    if given.shown is not None and given.shown != request["shown"]:
        raise DecisionsUnusable("What was decided about is not what waits now. Nothing was done; look at it anew.")
    if len(given.decisions) != len(actions):
        raise DecisionsUnusable(f"{len(given.decisions)} decisions for {len(actions)} action requests: {_FORM}.")
    return [_fitting(one, action) for one, action in zip(given.decisions, actions, strict=True)]


def _fitting(given: _Decision, action: ActionRequest) -> Decision:
    name = action["name"]
    if given.type not in allowed(name):
        raise DecisionsUnusable(f"{name} takes {', '.join(allowed(name))}, and not {given.type}.")
    decision: Decision = {"type": given.type}
    if given.type == "edit":
        decision["edited_action"] = {"name": name, "args": _edited(given, action)}
    elif given.type == "respond" and not (given.message or "").strip():
        raise DecisionsUnusable(f'To respond to {name} takes words: {{"type": "respond", "message": "…"}}.')
    if given.type in ("reject", "respond"):
        decision["message"] = (given.message or "").strip()
    return decision


def _edited(given: _Decision, action: ActionRequest) -> dict[str, Any]:
    name = action["name"]
    form = _EDITS.get(name)
    if form is None or given.edited_action is None:
        raise DecisionsUnusable(f'To edit {name} takes {{"type": "edit", "edited_action": {{"name", "args"}}}}.')
    if form is _Final and "answer" not in given.edited_action.args:
        raise DecisionsUnusable(f"The edited arguments of {name} do not fit (answer: it is missing).")
    try:
        args = form.model_validate(given.edited_action.args).model_dump()
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise DecisionsUnusable(f"The edited arguments of {name} do not fit ({place}: {problem['msg']}).") from None
    if name == CODE:
        try:
            check_code(args["code"], "The edited code")
        except UsageError as error:
            raise DecisionsUnusable(error.message) from None
    if name == CALLS and (unknown := {one["key"] for one in args["calls"]} - _keys(action)):
        raise DecisionsUnusable(f"{sorted(unknown)[0]} is not among the calls that were shown.")
    if name == CALLS:
        # Forms send back every prompt that they showed, and of long prompts they showed only a part: what is unchanged
        # is not an edit.
        before = {call["key"]: call["prompt"] for call in action["args"]["calls"]}
        cut_at = action["args"].get("cut_at")
        args["calls"] = [one for one in args["calls"] if not unchanged(one["prompt"], before[one["key"]], cut_at)]
    if name == SPEND and args["up_to_usd"] <= action["args"]["spent_usd"]:
        raise DecisionsUnusable(f"${args['up_to_usd']:g} is spent already.")
    if name == BUDGET and args["limit"] <= (action["args"]["limit"] or 0):
        raise DecisionsUnusable(f"{args['limit']:g} does not raise the limit of {action['args']['limit']:g}.")
    return args


def _keys(action: ActionRequest) -> set[str]:
    return {call["key"] for call in action["args"]["calls"]}
