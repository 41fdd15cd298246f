"""The `rlm run` command, which asks a question over an input."""

from typing import Annotated

import typer

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command
from ..invocation import Invocation

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
@writes
def run(
    invocation: Invocation,
    question: Question,
    paths: Paths = None,
    *,
    settings: options.RunSettingFlags,
    tracing: options.Tracing = None,
    output: options.Output = None,
    files: options.Files = None,
    thread: options.NewThread = None,
    detach: options.Detach = False,
) -> None:
    """Answer a question over files, folders or stdin.

    By default the root model never sees the whole input: it writes Python code that reads it, slices it and asks models
    about pieces of it. The answer goes to stdout, progress to stderr. Every step is saved; a run that is stopped or
    fails is resumed with `rlm resume`. With --approve the run waits for a reviewer: at a terminal you are asked at
    once, else the exit status is 3, and `rlm review` decides. A flag that is not given is looked up as RLM_… in the
    environment (RLM_MODEL), then in ./rlm.toml, which may not set where requests go or which programs run.

    [bold]Examples[/bold]

      rlm run "Which contracts end early?" contracts/ --model openai:gpt-5-mini
      rlm run "What went wrong at noon?" - < server.log
      rlm run "List every TODO" 'src/**/*.py' --schema todos.json -o out.json
      rlm run "Sum it up" book.txt --base-url http://localhost:8000/v1
      rlm run "When does it end?" letter.txt --mode auto
      rlm run "Sum up each letter" letters/ --approve code --approve 'calls>100'
    """
    from ..cli.new_run import start
    from ..cli.notices import chosen

    start(
        invocation,
        question,
        paths,
        settings,
        output=output,
        files=files,
        thread=thread,
        tracing=chosen(tracing),
        detach=detach,
    )
