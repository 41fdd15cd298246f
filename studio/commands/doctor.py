"""The `rlm doctor` command, which checks this machine."""

from dataclasses import replace
from datetime import date
from typing import Annotated

import typer

from ..cli.common import command
from ..invocation import Invocation
from ..terminal.console import put, stdout_console
from ..terminal.escape import safe_json, safe_line
from ..terminal.printed_commands import pasteable

_MARKS = {"ok": ("✓", "green"), "note": ("·", "dim"), "warning": ("!", "yellow"), "problem": ("✗", "red")}

Data = Annotated[
    bool,
    typer.Option(
        "--data",
        help="Say where each byte of a run goes and which hosts are asked, with the settings of RLM_… and rlm.toml.",
    ),
]


@command
def doctor(invocation: Invocation, data: Data = False) -> None:
    """Check this machine and report what works and what is missing.

    Starts a kernel, runs a cell in it, and tries from inside what a sandbox must not allow. Calls no model and writes
    nothing. Exit status 0 when a run could work, else 1. With --data it checks nothing and says where data goes.

    [bold]Examples[/bold]

      rlm doctor
      rlm doctor --home /data/runs --json
      rlm doctor --data
    """
    if data:
        _show_data(invocation)
        return
    from ..doctor.machine import home_folder, kernels
    from ..doctor.software import local_servers, software

    checks = [*software(date.today()), *local_servers(invocation), *home_folder(invocation.home), *kernels()]
    found = [replace(one, hint=pasteable(one.hint, invocation)) for one in checks]
    works = all(one.level != "problem" for one in found)
    if invocation.json:
        put(safe_json({"works": works, "checks": [one.to_json() for one in found]}))
        raise typer.Exit(0 if works else 1)
    from rich.text import Text

    console = stdout_console()
    for one in found:
        mark, style = _MARKS[one.level]
        console.print(Text.assemble((mark, style), f" {one.name:<10}", safe_line(one.value)), soft_wrap=True)
        if one.hint:
            console.print(Text(f"{'':<12}{safe_line(one.hint)}", style="dim"), soft_wrap=True)
    console.print(Text("A run could work here." if works else "No run could work here.", style="bold"))
    raise typer.Exit(0 if works else 1)


def _show_data(invocation: Invocation) -> None:
    from ...state.settings import resolve_settings
    from ..doctor.data import destinations

    found = destinations(resolve_settings({}), invocation.home)
    if invocation.json:
        put(safe_json([one.to_json() for one in found]))
        return
    from rich.text import Text

    console = stdout_console()
    for one in found:
        hosts = f" → {', '.join(one.hosts)}" if one.hosts else ""
        console.print(Text.assemble((f"{one.name:<11}", "bold"), one.value, (hosts, "yellow")), soft_wrap=True)
