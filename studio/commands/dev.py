"""The `rlm dev` command, which runs LangGraph's Agent Server with this graph for LangGraph Studio and the SDKs."""

import asyncio
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command
from ..cli.signals import STOPPED, interruptible, leave
from ..invocation import Invocation
from ..terminal.console import put, say, stderr_console
from ..terminal.errors import NOT_BEGUN, report
from ..terminal.escape import safe_json

if TYPE_CHECKING:
    from ..serving.token import Access

STUDIO_PAGE = "https://smith.langchain.com/studio/?baseUrl="
_NEEDED = ("langgraph_api", "langgraph_runtime_inmem", "uvicorn")

Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Where to listen. 0: any free port.")]
Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Which address to listen on. Any that is not loopback lets other machines connect: whoever has the token "
        "can then run code here, and whoever can listen to the network can read the token.",
    ),
]
HostedStudio = Annotated[
    bool,
    typer.Option(
        "--allow-hosted-studio",
        help="Let LangGraph Studio's page, served from https://smith.langchain.com, ask this server. Opens: scripts of "
        "that one origin, run in a browser that can reach this server, may read and start whatever the token allows, "
        "once the token has been entered there. The runs' data goes to that page in your browser; nothing is opened "
        "for other origins, and the token is still asked for.",
    ),
]


@command
@writes
def dev(
    invocation: Invocation,
    port: Port = 2024,
    host: Host = "127.0.0.1",
    allow_hosted_studio: HostedStudio = False,
    tracing: options.Tracing = None,
) -> None:
    """Serve runs to LangGraph Studio and to SDK clients, until Ctrl-C.

    Runs LangGraph's Agent Server with the graph rlm over the runs in --home: clients see the runs of the command
    line, and the command line sees the runs that clients start. Each start prints a URL with a token; requests without
    the token are refused. Needs pip install 'durable-rlm\\[server]'.

    [bold]Examples[/bold]

      rlm dev
      rlm dev --port 0 --json
      rlm dev --allow-hosted-studio
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"LangGraph's Agent Server is not installed ({', '.join(missing)} missing).",
            hint="pip install 'durable-rlm[server]'",
        )
    from ..cli.notices import chosen
    from ..serving.token import Access

    access = Access.chosen_or_new(
        hosted_studio=allow_hosted_studio,
        hosts=frozenset({host}),
        announced=True,
    )
    with interruptible():
        started = _serve(invocation, host, port, access, tracing=chosen(tracing))
    if not started:
        report("ServerError", "The server did not start; why is said above.", as_json=invocation.json)
        raise typer.Exit(1)
    # Everything is closed, so exit at once: tearing down the modules of LangGraph's server would take longer.
    leave(STOPPED)


def _serve(invocation: Invocation, host: str, port: int, access: "Access", *, tracing: bool) -> bool:
    from ...graph.maintenance import bring_up_to_date
    from ..serving.listening import is_loopback, listen, url_of

    with listen(host, port) as listening:
        url = url_of(host, listening)
        if not is_loopback(host):
            say(
                f"Warning: --host {host} lets other machines connect. Anyone with the token can run code here, and it "
                "is sent unencrypted: anyone who can listen to the network can read it.",
                style="bold yellow",
            )

        def ready() -> None:
            if invocation.json:
                put(safe_json({"url": url, "token": access.token, "pid": os.getpid()}, one_line=True))
            else:
                put(_welcome(url, access))

        from ..server.process import Serving, serve

        colours = stderr_console().is_terminal
        home = invocation.home.absolute()
        # Before LangGraph's server, which makes files in the home, and unpickles those that are there.
        asyncio.run(bring_up_to_date(home))
        serving = Serving(home, url, listening, access, invocation.debug, colours, tracing)
        try:
            return serve(serving, ready, lambda: say("Stopping. A second signal leaves at once."))
        except KeyboardInterrupt:
            report(NOT_BEGUN, "Stopped before the server began.", as_json=invocation.json)
            raise typer.Exit(STOPPED) from None


def _welcome(url: str, access: "Access") -> str:
    lines = [
        "LangGraph's Agent Server, with the graph rlm. Ctrl-C stops it; runs under way are saved.",
        "",
        f"  Open      {url}/rlm?token={access.token}",
        f'  Python    langgraph_sdk.get_client(url="{url}", api_key="{access.token}")',
        f'  JS        new Client({{ apiUrl: "{url}", apiKey: "{access.token}" }})',
    ]
    if access.hosted_studio:
        lines += [
            f"  Studio    {STUDIO_PAGE}{url}",
            f"            there, as a header of the connection: x-api-key: {access.token}",
        ]
    else:
        lines.append("  Studio    LangGraph Studio's page may not ask this server: see --allow-hosted-studio")
    return "\n".join(lines)
