"""Says a model call's failure in one plain sentence: which model, what happened, what to do."""

from dataclasses import dataclass
from typing import assert_never

from .failures import Failure
from .redacting import redact


@dataclass(frozen=True)
class Target:
    """Which model is asked, and where: what a person needs to find the mistake."""

    name: str
    """`provider:model`, as it was configured."""
    where: str = ""
    """The server's address, without user and password; empty for a provider's own."""
    key_name: str = ""
    """The environment variable that holds its key."""
    seconds: float = 600.0
    """The time limit of one request."""
    secrets: tuple[str, ...] = ()
    """Texts that must never be shown, should a server repeat them."""


def explain(failure: Failure, target: Target, attempts: int) -> str:
    """One sentence, without keys, that names the model and says what to do."""
    name = target.name
    at = f" at {target.where}" if target.where else ""
    said = f": {redact(failure.detail, target.secrets)}" if failure.detail else ""
    status = f" ({failure.status}{said})" if failure.status else f" ({said[2:]})" if said else ""
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    match failure.kind:
        case "auth":
            key = target.key_name or "the provider's API key"
            return f"{name}{at} does not accept the key{status}; check {key}."
        case "not_found":
            place = "the model's name and --base-url, which mostly ends in /v1" if target.where else "the model's name"
            return f"{name}{at} was not found{status}; check {place}."
        case "bad_request":
            return f"{name}{at} does not accept the request{status}; check the model's name and the prompt."
        case "too_long":
            return f"The prompt is longer than {name} can read{status}; ask about smaller pieces."
        case "rate_limit" if not failure.retryable:
            return f"{name}{at} has no quota or credit left{status}; top up the account, then `rlm resume`."
        case "rate_limit":
            return f"{name}{at} still limits the rate{tries}{status}; lower --concurrency or wait, then `rlm resume`."
        case "server":
            return f"The server of {name}{at} keeps failing{tries}{status}; `rlm resume` when it works again."
        case "network":
            return f"{name}{at} cannot be reached{tries}{status}; check the server and the network, then `rlm resume`."
        case "timeout":
            limit = f"within {target.seconds:g} seconds" if not failure.status else "in time"
            return f"{name}{at} did not answer {limit}{tries}{status}; check the server, then `rlm resume`."
        case "refused":
            return f"{name} refused to answer{status}; put the question differently or use another model."
        case "empty":
            return f"{name} gave an empty answer{tries}{status}; put the question differently or use another model."
        case "garbage":
            return f"{name}{at} does not answer like a chat completions server{tries}{status}; check --base-url."
        case "schema":
            return f"{name} did not answer in the asked form{tries}{status}; simplify the schema or use another model."
        case "scripted":
            return f"The scripted model {name} failed{status}; correct the script."
        case _:
            assert_never(failure.kind)
