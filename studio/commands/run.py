"""`rlm run`: ask a question over an input."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import flags
from ..invocation import Invocation, command

if TYPE_CHECKING:
    from ...graph.results import Run

Question = Annotated[str, typer.Argument(metavar="QUESTION", help="What to find out.", show_default=False)]
Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="The input: files, folders, patterns such as 'src/**/*.py', or - for stdin. None: the question alone.",
        show_default=False,
    ),
]


@command
def run(
    invocation: Invocation,
    question: Question,
    paths: Paths = None,
    model: flags.Model = None,
    sub_model: flags.SubModel = None,
    base_url: flags.BaseUrl = None,
    price: flags.Price = None,
    mode: flags.Mode = None,
    concurrency: flags.Concurrency = None,
    max_turns: flags.MaxTurns = None,
    max_depth: flags.MaxDepth = None,
    max_calls: flags.MaxCalls = None,
    max_tokens: flags.MaxTokens = None,
    max_cost: flags.MaxCost = None,
    max_time: flags.MaxTime = None,
    strict_budget: flags.StrictBudget = None,
    approve: flags.Approve = None,
    allow_imports: flags.AllowImports = None,
    kernels: flags.KernelSlots = None,
    cell_timeout: flags.CellTimeout = None,
    kernel_idle: flags.KernelIdle = None,
    memory: flags.Memory = None,
    kernel_env: flags.KernelEnv = None,
    kernel_provisioner: flags.KernelProvisioner = None,
    unsandboxed: flags.Unsandboxed = None,
    schema: flags.Schema = None,
    tracing: flags.Tracing = None,
    output: flags.Output = None,
    thread: flags.NewThread = None,
) -> None:
    """Answer a question over files, folders or stdin.

    The root model never sees the input whole: it writes Python that reads it, slices it and asks models about
    pieces of it. The answer goes to stdout, progress to stderr. Every step is saved; what is stopped or fails goes
    on with `rlm resume`. With --approve it waits for a person: asked here at a terminal, else exit status 3, and
    `rlm review` decides. Each flag that is not given is looked up as RLM_… in the environment (RLM_MODEL), then in
    ./rlm.toml, which may not say where requests go or which programs run.

    [bold]Examples[/bold]

      rlm run "Which contracts end early?" contracts/ --model openai:gpt-5-mini
      rlm run "What went wrong at noon?" - < server.log
      rlm run "List every TODO" 'src/**/*.py' --schema todos.json -o out.json
      rlm run "Sum it up" book.txt --base-url http://localhost:8000/v1
      rlm run "When does it end?" letter.txt --mode auto
      rlm run "Sum up each letter" letters/ --approve code --approve 'calls>100'
    """
    settings: dict[str, Any] = {
        "model": model,
        "sub_model": sub_model,
        "base_url": base_url,
        "price": price,
        "mode": mode,
        "concurrency": concurrency,
        "max_turns": max_turns,
        "max_depth": max_depth,
        "max_calls": max_calls,
        "max_tokens": max_tokens,
        "max_cost": max_cost,
        "max_time": max_time,
        "strict_budget": strict_budget,
        # Several, however they are given: a flag each, or with commas.
        "approve": ",".join(approve) if approve else None,
        "allow_imports": ",".join(allow_imports) if allow_imports else None,
        "kernels": kernels,
        "cell_timeout": cell_timeout,
        "kernel_idle": kernel_idle,
        "memory": memory,
        "kernel_env": kernel_env,
        "kernel_provisioner": kernel_provisioner,
        "unsandboxed": unsandboxed,
        "schema": schema,
    }
    from ..tracing import chosen

    start(invocation, question, paths, settings, output=output, thread=thread, tracing=chosen(tracing))


def start(
    invocation: Invocation,
    question: str,
    paths: list[str] | None,
    settings: dict[str, Any],
    *,
    output: Any = None,
    thread: str | None = None,
    after: "Callable[[Run], list[str]]" = lambda run: [],
    tracing: bool = False,
    today: Callable[[], date] = date.today,
) -> None:
    """Start a run and see it through. Raises RlmError for what is refused before it begins."""
    from ...state.settings import resolve_settings
    from ..price_age import price_warnings
    from ..sitting import Hear, Sitting, sit

    # Also here, before anything is shown: a bad setting is said at once.
    resolved = resolve_settings(settings)
    if not resolved.model:
        from ..unnamed_model import check_model_named

        check_model_named(invocation, question, resolved)

    async def begin(runner: Any, hear: Hear) -> Any:
        sitting.warnings = price_warnings(resolved.frozen(), resolved.max_cost, today())
        return await runner.run(question, paths or None, thread=thread, on_event=hear, **settings)

    sitting = Sitting(invocation, thread, begin, output, resolved.unsandboxed, after, tracing=tracing)
    sit(sitting)
