"""Decisions in LangChain's human-in-the-loop form, made from the input of a reviewer or a flag."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn, cast

from ...state.errors import UsageError
from .requests import Asked, Request

Decision = dict[str, Any]
APPROVED: Decision = {"type": "approve"}
_NO_CHANGE = "Nothing was changed."


def rejected(reason: str) -> Decision:
    """Return the decision not to do what was requested. The reason goes to the model."""
    return {"type": "reject", "message": reason}


def responded(words: str) -> Decision:
    """Return the decision to use the reviewer's words in place of what was requested."""
    return {"type": "respond", "message": words}


def editable(request: Asked) -> tuple[str, str]:
    """Return the part of a request that may be edited, as a text, and the suffix of its file."""
    if request.name == "execute_code":
        return str(request.args.get("code", "")), ".py"
    return json.dumps(_open_to_change(request), ensure_ascii=False, indent=2) + "\n", ".json"


def edit(request: Request, text: str) -> Decision:
    """Return the decision to continue with `text`: Python for code, else the arguments as JSON.

    Raises UsageError for a text that cannot be used.
    """
    args = {"code": text} if request.name == "execute_code" else _object(text)
    if request.name == "sub_calls":
        args = {"calls": _changed_calls(request, args)}
    return checked(request, {"type": "edit", "edited_action": {"name": request.name, "args": args}})


def checked(request: Request, decision: Decision) -> Decision:
    """Return the decision if the run would accept it. Raises UsageError with the reason if not."""
    from ...nodes.approval.decisions import DecisionsUnusable, decisions_in

    try:
        decisions_in({"decisions": [decision]}, {"action_requests": [request.as_asked]})
    except DecisionsUnusable as unusable:
        raise UsageError(str(unusable), hint=f"Possible: {', '.join(request.allowed)}.") from unusable
    return decision


def _open_to_change(request: Asked) -> dict[str, Any]:
    args = request.args
    match request.name:
        case "sub_calls":
            # A call whose prompt is shown in part would lose the rest of it.
            calls = [one for one in _calls(args) if _whole(one)]
            return {"calls": [{"key": one.get("key"), "prompt": one.get("prompt")} for one in calls]}
        case "spend":
            return {"up_to_usd": args.get("up_to_usd")}
        case "budget":
            return {"limit": args.get("limit")}
        case _:
            return dict(args)


def _changed_calls(request: Request, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calls whose prompts are changed. Raises UsageError for another form, and if there are none."""
    calls = given.get("calls")
    if not isinstance(calls, list):
        _refuse('There is no list "calls" in it.')
    before = {one.get("key"): one.get("prompt") for one in _calls(request.args) if _whole(one)}
    changed: list[dict[str, Any]] = []
    for one in cast(list[Any], calls):
        if not isinstance(one, dict) or not isinstance(one.get("key"), str) or not isinstance(one.get("prompt"), str):
            _refuse('Each of the "calls" needs a "key" and a "prompt", both texts.')
        if before.get(one["key"]) != one["prompt"]:
            changed.append({"key": one["key"], "prompt": one["prompt"]})
    if not changed:
        raise UsageError(_NO_CHANGE)
    return changed


def _calls(args: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in args.get("calls") or [] if isinstance(one, dict)]


def _whole(call: Mapping[str, Any]) -> bool:
    chars = call.get("chars")
    return not isinstance(chars, int) or chars <= len(str(call.get("prompt", "")))


def _object(text: str) -> dict[str, Any]:
    def constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    try:
        value = json.loads(text, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"That is not JSON: {error}.") from error
    if not isinstance(value, dict):
        _refuse("That is no JSON object.")
    return cast(dict[str, Any], value)


def _refuse(message: str) -> NoReturn:
    raise UsageError(message, hint="Keep the form that it had.")
