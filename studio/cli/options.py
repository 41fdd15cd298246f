"""The options of commands that run something, and shell completion of thread names.

Nothing here has a default of its own: an option that is not given stays None, so that `RLM_…` and `rlm.toml` can
decide (`state.settings`). Completion is fast and silent: a shell that hangs or prints is worse.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ..terminal.escape import safe_line
from .common import DATABASE, invocation_of

_MOST = 200


def complete_threads(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Thread names that begin with `incomplete`, the one touched last first, each with its status and question.

    Sub-RLMs come last, and only once something of a name is typed: there may be thousands.
    """
    try:
        before = context.find_root().params.get("home")
        home = invocation_of(context.params.get("home") or before, as_json=False, debug=False).home
        # Read-only, straight from the file: LangGraph and the store would take a second to import.
        path = (home / DATABASE).absolute().as_uri()
        with closing(sqlite3.connect(f"{path}?mode=ro", uri=True, timeout=0.2)) as connection:
            child = "thread_id IN (SELECT thread_id FROM children)" if _knows_children(connection) else "FALSE"
            rows = connection.execute(
                f"SELECT thread_id, status, question FROM threads WHERE substr(thread_id, 1, ?) = ? "
                f"AND status != 'deleted' AND (? != '' OR NOT {child}) ORDER BY {child}, updated DESC LIMIT ?",
                (len(incomplete), incomplete, incomplete, _MOST),
            ).fetchall()
    except Exception:
        return []
    return [
        (name, f"{status}: {safe_line(question, 60)}") for name, status, question in rows if name == safe_line(name)
    ]


def _knows_children(connection: sqlite3.Connection) -> bool:
    """Whether the home is of a format that has them."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'children'").fetchone())


_MODEL, _LIMITS, _REVIEW, _KERNEL, _OUTPUT = "Model", "Limits", "A person in the loop", "Kernel", "Output"

Thread = Annotated[
    str | None,
    typer.Argument(
        metavar="THREAD",
        help="The run: its name, or the first characters of it (4 or more). Default: the one touched last",
        autocompletion=complete_threads,
        show_default=False,
    ),
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PROVIDER:NAME",
        help="The root model, such as openai:gpt-5-mini; scripted:PATH is an offline stand-in. Required, "
        "unless RLM_MODEL or rlm.toml names one.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
SubModel = Annotated[
    str | None,
    typer.Option(
        "--sub-model",
        metavar="PROVIDER:NAME",
        help="The model that answers sub-calls; a smaller one saves money. Default: the root model.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="An OpenAI-compatible server of your own, for both models. Default: the provider's own.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Price = Annotated[
    str | None,
    typer.Option(
        "--price",
        metavar="IN,OUT",
        help="What tokens cost, in dollars per million. Default: a built-in price list.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="Model calls in flight at once. Default: 32",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="rlm: by code in a REPL; auto: a small input is given to the model whole, which answers or asks for the "
        "REPL; direct: always whole, in one call. Default: rlm",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
MaxTurns = Annotated[
    int | None,
    typer.Option(
        "--max-turns",
        metavar="N",
        help="Turns of the root model; the last one must answer. Default: 30",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxDepth = Annotated[
    int | None,
    typer.Option(
        "--max-depth",
        metavar="N",
        help="0: code may not call models; 1: sub-calls are plain model calls; 2: rlm_query starts a sub-RLM, a run "
        "with a REPL of its own, whose sub-calls are plain; and so on. Default: 1",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxCalls = Annotated[
    int | None,
    typer.Option(
        "--max-calls",
        metavar="N",
        help="Model requests: root turns, sub-calls and retries. Default: 2000",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        metavar="N",
        help="Tokens, input and output together. Default: no limit",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Dollars; the models' prices must be known. Default: no limit",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
MaxTime = Annotated[
    float | None,
    typer.Option(
        "--max-time",
        metavar="SECONDS",
        help="Wall time, all sittings together. Default: no limit",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
StrictBudget = Annotated[
    bool | None,
    typer.Option(
        "--strict-budget",
        help="Count a request whose answer was lost (kill -9, a broken connection) as all that it may have taken. "
        "Default: as what it is likely to have taken",
        rich_help_panel=_LIMITS,
        show_default=False,
    ),
]
Approve = Annotated[
    list[str] | None,
    typer.Option(
        "--approve",
        metavar="GATE",
        help="Ask a person first. code: before code runs (code:writes, code:imports, code:calls: only such code); "
        "calls or 'calls>N': before sub-calls, or more of them than N; 'cost>USD': before more is spent, and after "
        "each further as much; final: before it answers; budget: when it is spent; all. May be repeated. Default: "
        "nobody is asked",
        rich_help_panel=_REVIEW,
        show_default=False,
    ),
]
AllowImports = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-imports",
        metavar="MODULE",
        help="A module that code may import without being looked at, for code:imports. May be repeated. Default: "
        "only those that can do no harm",
        rich_help_panel=_REVIEW,
        show_default=False,
    ),
]
CellTimeout = Annotated[
    float | None,
    typer.Option(
        "--cell-timeout",
        metavar="SECONDS",
        help="A cell's own computing; waiting for sub-calls does not count. Default: 300",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
KernelIdle = Annotated[
    float | None,
    typer.Option(
        "--kernel-idle",
        metavar="SECONDS",
        help="A kernel that waits longer is let go, and comes back with its variables. Default: 900",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory of a kernel, such as 512M. Default: 4G",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
KernelSlots = Annotated[
    int | None,
    typer.Option(
        "--kernels",
        metavar="N",
        help="Kernels alive at once, --max-depth at least: the run has one, and each sub-RLM that runs; more sub-RLMs "
        "wait for theirs to end. Default: as memory allows, at most 32",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
KernelEnv = Annotated[
    str | None,
    typer.Option(
        "--kernel-env",
        metavar="VENV",
        help="Virtual environment that code runs in. Default: ours, with numpy, and pandas and what reads documents "
        "where they are installed (durable-rlm\\[all])",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
KernelProvisioner = Annotated[
    str | None,
    typer.Option(
        "--kernel-provisioner",
        metavar="NAME",
        help="Jupyter kernel provisioner that starts kernels, and confines them. Default: ours",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
Unsandboxed = Annotated[
    bool | None,
    typer.Option(
        "--unsandboxed",
        help="Run model code as your user, without a sandbox. Default: refuse to run where no sandbox holds",
        rich_help_panel=_KERNEL,
        show_default=False,
    ),
]
Tracing = Annotated[
    bool | None,
    typer.Option(
        "--tracing",
        help="Send questions, excerpts of the input, code and answers to LangSmith, as its variables say where "
        "(LANGSMITH_API_KEY, LANGSMITH_PROJECT). Default: RLM_TRACING, else nothing is traced, whatever "
        "LANGSMITH_TRACING says",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail when a cell that is run again asks for other sub-calls than it had. Default: go on and say so",
    ),
]
Schema = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="A JSON Schema that the answer must match; the answer is then JSON. Default: any text or value",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the answer to FILE instead, whole or not at all. Default: stdout",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]
NewThread = Annotated[
    str | None,
    typer.Option(
        "--thread",
        metavar="NAME",
        help="Name the run. The same name, question and input again: the run goes on. Default: after the question",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]
