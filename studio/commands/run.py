"""The `rlm run` command, which asks a question over an input."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command
from ..invocation import Invocation
from .view import page_of

Question = Annotated[
    str | None,
    typer.Argument(
        metavar="QUESTION", help="What to find out. With --questions it is the first PATH.", show_default=False
    ),
]
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
    question: Question = None,
    paths: Paths = None,
    *,
    settings: options.RunSettingFlags,
    tracing: options.Tracing = None,
    output: options.Output = None,
    files: options.Files = None,
    thread: options.NewThread = None,
    questions: options.Questions = None,
    detach: options.Detach = False,
    view: options.View = False,
) -> None:
    """Answer a question over files, folders or stdin.

    By default the root model never sees the whole input: it writes Python code that reads it, slices it and asks models
    about pieces of it. The answer goes to stdout, progress to stderr. Every step is saved; a run that is stopped or
    fails is resumed with `rlm resume`. With --approve the run waits for a reviewer: at a terminal you are asked at
    once, else the exit status is 3, and `rlm review` decides. A flag that is not given is looked up as RLM_… in the
    environment (RLM_MODEL), then in ./rlm.toml, which may not set where requests go or which programs run.

    With --questions all arguments are paths. The file has a question on each line, {"id": "q1", "question": "…"}; the
    input is read once, each question is a run named by its id, and the limits are for all of them together. A line of
    JSON comes out for each as it ends. The same command again asks only what has no answer yet.

    [bold]Examples[/bold]

      rlm run "Which contracts end early?" contracts/ --model openai:gpt-5-mini
      rlm run "What went wrong at noon?" - < server.log
      rlm run "List every TODO" 'src/**/*.py' --schema todos.json -o out.json
      rlm run "Sum it up" book.txt --base-url http://localhost:8000/v1
      rlm run "When does it end?" letter.txt --mode auto
      rlm run "Sum up each letter" letters/ --approve code --approve 'calls>100'
      rlm run --questions questions.jsonl contracts/ -o answers.jsonl
    """
    from ..cli.notices import chosen

    places: dict[str, Any] = {"output": output, "files": files, "thread": thread}
    if questions is not None:
        from ..questions.asking import start as ask

        if view:
            raise UsageError("--view opens the page on one run.", hint="With --questions, call `rlm view` beside it.")
        given = [*([] if question is None else [question]), *(paths or [])]
        if question and " " in question and "*" not in question and not Path(question).exists():
            raise UsageError(
                f"With --questions all arguments are paths, and there is no file or folder {question}",
                hint="Put the question into the file, or leave out --questions.",
            )
        ask(invocation, questions, given, settings, **places, tracing=chosen(tracing), detach=detach)
        return
    if question is None:
        raise UsageError("Missing argument 'QUESTION'.", hint="See `rlm run --help`.")
    from ..cli.new_run import start

    start(
        invocation,
        question,
        paths,
        settings,
        **places,
        tracing=chosen(tracing),
        detach=detach,
        view=page_of(invocation) if view else None,
    )
