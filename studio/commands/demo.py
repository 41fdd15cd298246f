"""`rlm demo`: what `make demo` runs."""

from pathlib import Path

from .. import flags
from ..consoles import say
from ..invocation import Invocation, command
from .run import start

OFFLINE = Path(__file__).parent.parent / "demo" / "scripted.py"


@command
def demo(
    invocation: Invocation,
    model: flags.Model = None,
    sub_model: flags.SubModel = None,
    base_url: flags.BaseUrl = None,
    max_cost: flags.MaxCost = None,
    output: flags.Output = None,
) -> None:
    """Answer a real question over the source of Python's standard library, on this machine.

    Without --model a built-in offline stand-in plays the model: rules, no network, nothing spent. With one, the same
    question goes to it, and is paid for.

    Examples:

      rlm demo

      rlm demo --model openai:gpt-5-mini --max-cost 1
    """
    from ..demo.question import QUESTION, corpus

    if model is None:
        say("Offline demo: no model is called and nothing is spent. A script of rules stands in for the model;")
        say("the kernel, the sub-calls, the budget and the saved steps are real.")
    else:
        say(f"This asks {model} and is paid for. Ctrl-C stops it.")
    say(f"Question: {QUESTION}", style="italic")
    settings = {
        "model": model or f"scripted:{OFFLINE}",
        "sub_model": sub_model,
        "base_url": base_url if model else "",
        "max_cost": max_cost,
    }
    start(
        invocation,
        QUESTION,
        corpus(),
        {name: value for name, value in settings.items() if value is not None},
        output=output,
        after=["Next, over files of your own: rlm run 'What is this?' FOLDER --model openai:gpt-5-mini"],
    )
