"""Says a model call's failure in one plain sentence: which model, what happened, what to do."""

from dataclasses import dataclass

from .errors import Failure, FailureKind
from .redaction import redact
from .reply import Role


@dataclass(frozen=True)
class Target:
    """Which model is asked, and where: what a person needs to find the mistake."""

    name: str
    """`provider:model`, as it was configured."""
    where: str = ""
    """The server's address, without user and password; empty for a provider's own."""
    key_name: str = ""
    """The environment variable that holds its key."""
    seconds: float | None = 600.0
    """The time limit of one request; None: no limit."""
    secrets: tuple[str, ...] = ()
    """Texts that must never be shown, should a server repeat them."""


_SENTENCES: dict[FailureKind, str] = {
    "auth": "{model} does not accept the key{said}; check {key}.",
    "not_found": "{model} was not found{said}; check {address}.",
    "bad_request": "{model} does not accept the request{said}; check the model's name and the prompt.",
    "too_long": "The prompt is longer than {name} can read{said}; slice it, and ask about the pieces.",
    "rate_limit": "{model} still limits the rate{tries}{said}; lower --concurrency or wait.",
    "server": "The server of {model} keeps failing{tries}{said}; wait until it works again.",
    "network": "{model} cannot be reached{tries}{said}; check the server and the network.",
    "timeout": "{model} did not answer in time{tries}{said}; check the server.",
    "refused": "{name} refused to answer{said}; put the question differently or use another model.",
    "empty": "{name} gave an empty answer{tries}{said}; put the question differently or use another model.",
    "garbage": "{model} does not answer like a chat completions server{tries}{said}; check --base-url.",
    "scripted": "The scripted model {name} failed{said}; correct the script.",
    "schema": "{name} did not answer in the asked form{tries}{said}; simplify the schema or use another model.",
}
_ROOT_TOO_LONG = (
    "What the root model is told is longer than {name} can read{said}; run the question with a --model that reads more."
)
_NO_QUOTA = "{model} has no quota or credit left{said}; top up the account."


def explain(failure: Failure, target: Target, attempts: int, role: Role = "sub") -> str:
    """One sentence, without keys, that names the model and says what to do."""
    sentence = _SENTENCES[failure.kind]
    if failure.kind == "rate_limit" and not failure.retryable:
        sentence = _NO_QUOTA
    elif failure.kind == "too_long" and role == "root":
        sentence = _ROOT_TOO_LONG
    detail = redact(failure.detail, target.secrets)
    if failure.kind == "timeout" and not failure.status and target.seconds is not None:
        detail = f"limit {target.seconds:g} seconds"
    if detail == f"Error code: {failure.status}":
        detail = ""
    said = ": ".join(str(part) for part in (failure.status, detail) if part)
    return sentence.format(
        name=target.name,
        model=f"{target.name} at {target.where}" if target.where else target.name,
        said=f" ({said})" if said else "",
        tries=f" after {attempts} attempts" if attempts > 1 else "",
        key=target.key_name or "the provider's API key",
        address="the model's name and --base-url, which mostly ends in /v1" if target.where else "the model's name",
    )
