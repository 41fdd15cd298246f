"""`rlm demo`: what `make demo` runs."""

from typing import Any

from .. import flags
from ..consoles import say
from ..invocation import Invocation, command
from ..safe_text import safe_line
from ..summary import command_line, short_id
from .run import start

_MODEL = "openai:gpt-5-mini"


@command
def demo(
    invocation: Invocation,
    model: flags.Model = None,
    sub_model: flags.SubModel = None,
    base_url: flags.BaseUrl = None,
    price: flags.Price = None,
    max_cost: flags.MaxCost = None,
    unsandboxed: flags.Unsandboxed = None,
    output: flags.Output = None,
) -> None:
    """Answer a real question over the source of Python's standard library, on this machine.

    Without --model an offline stand-in plays the model: rules, no network, nothing spent; it takes some ten seconds.
    With one, the same question goes to it and is paid for: at most 400 requests, fewer dollars with --max-cost.

    [bold]Examples[/bold]

      rlm demo
      rlm demo --model openai:gpt-5-mini --max-cost 1
      rlm demo --model openai:qwen3 --base-url http://localhost:8000/v1
    """
    from ..demo.question import OFFLINE, QUESTION, corpus

    named: dict[str, Any] = {"model": model, "sub_model": sub_model, "base_url": base_url, "price": price}
    settings = {name: value for name, value in named.items() if value is not None}
    if model is None:
        # Whatever RLM_… or rlm.toml say: the demo never spends money by itself, and waits for nobody.
        settings |= {"model": OFFLINE, "sub_model": OFFLINE, "base_url": "", "approve": ""}
        say(
            "This is the offline demo: a script of rules stands in for the model. No model is called, nothing is spent;"
        )
        say("the kernel, the fan-out of sub-calls, the budget and the saved steps are the real ones.")
    else:
        say(f"This asks {safe_line(model)}, and is paid for. Ctrl-C stops it; what it did so far is saved.")
    say(f"Question: {QUESTION}", style="italic")
    # An empty schema takes any answer: one that is set for this folder would refuse ours.
    settings |= {"max_calls": 400, "max_depth": 1, "schema": {}, "max_cost": max_cost, "unsandboxed": unsandboxed}
    start(
        invocation,
        QUESTION,
        corpus(),
        settings,
        output=output,
        after=lambda run: _next(invocation, short_id(run.thread_id), offline=model is None),
    )


def _next(invocation: Invocation, name: str, *, offline: bool) -> list[str]:
    """What to try now, beside `show` and `calls`."""
    lines = [
        f"Its steps, and its answer again for nothing: {command_line(invocation, 'steps', name)} · "
        f"{command_line(invocation, 'resume', name)}",
        f"Your own question: {command_line(invocation, 'run', 'What is in here?', '.', '--model', _MODEL)}",
    ]
    return (
        [*lines, f"This one to a real model: {command_line(invocation, 'demo', '--model', _MODEL)}"]
        if offline
        else lines
    )
