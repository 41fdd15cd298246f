"""The `rlm demo` command, which `make demo` runs."""

import uuid
from typing import Annotated, Any

import typer

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command
from ..cli.new_run import start
from ..cli.summary import command_line
from ..invocation import Invocation
from ..terminal.console import say
from ..terminal.escape import safe_line

DemoSettings = Annotated[
    dict[str, Any],
    options.SettingFlags(("model", "sub_model", "base_url", "price", "max_cost", "unsandboxed")),
]
PlainFlag = Annotated[bool, typer.Option("--plain", help="Show the answer alone. Default: all four acts")]


@command
@writes
def demo(
    invocation: Invocation,
    *,
    settings: DemoSettings,
    plain: PlainFlag = False,
    output: options.Output = None,
) -> None:
    """Answer a real question over the source of Python's standard library, on this machine, in four acts.

    The acts are a run and its answer; a crash (kill -9), after which no recorded call is paid for again; a fork from
    the middle of the first run, which pays for one call; and a gate at which a reviewer decides. An offline stand-in
    replaces the model: it works by rules, uses no network and costs nothing. The demo takes half a minute. With
    --model, that model answers the question and is paid for, in one act: at most 400 requests; --max-cost limits the
    dollars.

    [bold]Examples[/bold]

      rlm demo
      rlm demo --plain
      rlm demo --model openai:gpt-5-mini --max-cost 1
      rlm demo --model openai:qwen3 --base-url http://localhost:8000/v1
    """
    from ..demo.corpus import MOST_CALLS, QUESTION, corpus, offline_settings

    model, unsandboxed = settings["model"], settings["unsandboxed"]
    if model is None:
        say(
            "This is the offline demo: a script of rules stands in for the model. No model is called, nothing is spent;"
        )
        say("the kernel, the fan-out of sub-calls, the budget and the saved steps are the real ones.\n")
        if not plain and not invocation.json:
            from ..demo.acts import play

            raise typer.Exit(play(invocation, name=uuid.uuid4().hex[:4], unsandboxed=unsandboxed, output=output))
        settings = offline_settings(unsandboxed=unsandboxed)
    else:
        say(f"This asks {safe_line(model)}, and is paid for. Ctrl-C stops it; what it did so far is saved.")
        # An empty schema accepts any answer: a schema that is set for this folder would refuse the demo's.
        settings = {**settings, "max_calls": MOST_CALLS, "max_depth": 1, "schema": {}, "instructions": ""}
    say(f"Question: {QUESTION}", style="italic")
    thread = f"demo-{uuid.uuid4().hex[:4]}"
    start(
        invocation,
        QUESTION,
        corpus(),
        settings,
        output=output,
        thread=thread,
        after=lambda run: _next(invocation, run.thread_id, offline=model is None),
    )


def _next(invocation: Invocation, name: str, *, offline: bool) -> list[str]:
    """Return lines with further commands to try, beside `show` and `calls`."""
    steps, again = command_line(invocation, "steps", name), command_line(invocation, "resume", name)
    lines = [f"Its steps, and its answer again for nothing: {steps} · {again}"]
    return [*lines, f"A crash, a fork and a gate: {command_line(invocation, 'demo')}"] if offline else lines
