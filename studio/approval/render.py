"""Rendering of an approval request for the terminal, and of the difference between two cells.

Nothing is cut, read as markup, or sent to the terminal unescaped.
"""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from ...state.wording import counted, megabytes
from ..progress.text import dollars, spent
from ..terminal.escape import answer_text, safe, safe_line, short_id
from .hidden_characters import marked, warning
from .listed_calls import calls_in, parts_of
from .lookalikes import lookalike_warning, lookalikes
from .quoted import coloured, framed, plain
from .requests import Pending, Request, Waiting, purpose

_MOST_LINES = 5_000
_STYLES = {"-": "red", "+": "green", "@": "cyan"}


def difference(before: str, now: str) -> Iterator[Text] | None:
    """Return the lines of a unified diff, escaped and coloured; None for too many, or without one in common."""
    # Not `splitlines`, which also splits at characters that are not newlines in Python code.
    old, new = (text.replace("\r\n", "\n").rstrip("\n").split("\n") for text in (before, now))
    if max(len(old), len(new)) > _MOST_LINES:
        # Comparing takes time in proportion to the square of their number.
        return None
    if not {line for line in old if line.strip()} & {line for line in new if line.strip()}:
        return None
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))
    # The first two lines name files.
    return (plain(marked(line, code=True), _STYLES.get(line[:1], "dim")) for line in found[2:])


_WARNING = "bold red"
_LOOKALIKE = "reverse yellow"
UNSANDBOXED = "Warning: NOT SANDBOXED: this code can read, change and send whatever the user of the run can."


ON_SCREEN = 20_000
"""Characters of sub-calls that are shown on a terminal before the reviewer asks for the others."""
_LEAST = 2_000
"""Characters of the last call shown there that are shown at least."""


def screen(
    pending: Pending, waiting: Waiting, at: int, width: int | None, *, most: int | None = None
) -> Iterator[Text]:
    """Yield the lines that show request `at` of an interrupt. `width` is the terminal's, None without one.

    `most`: characters of sub-calls after which the other calls are only counted.
    """
    request = waiting.requests[at]
    yield Text("")
    yield _heading(pending, waiting, at)
    if waiting.problem:
        yield Text(f"The last answer was not taken: {safe_line(waiting.problem)}", style="bold red")
    if request.args.get("unsandboxed"):
        yield Text(UNSANDBOXED, style=_WARNING)
    if request.description:
        yield from _fact("Why", request.description, width)
    turns = counted(pending.run.turns, "turn")
    yield _labelled("So far", " · ".join([turns, *spent(dict(waiting.usage))]))
    match request.name:
        case "execute_code" if isinstance(request.args.get("code"), str):
            yield from _code(pending, request, width)
        case "sub_calls":
            yield from _calls(request.args, width, most)
        case "spend":
            yield from _spend(request.args)
        case "final_answer" if "answer" in request.args:
            yield from _quoted(answer_text(request.args["answer"]), width)
            yield from _citations(request.args.get("citations"), width)
            yield from _files(request.args.get("files"), width)
        case "budget":
            yield from _budget(request.args)
        case _:
            yield from _quoted(json.dumps(dict(request.args), ensure_ascii=False, indent=2), width)


def whole_screen(pending: Pending, waiting: Waiting, width: int | None) -> Iterator[Text]:
    """Yield the lines that show an interrupt with all of its requests."""
    for at in range(len(waiting.requests)):
        yield from screen(pending, waiting, at, width)


def _heading(pending: Pending, waiting: Waiting, at: int) -> Text:
    request = waiting.requests[at]
    many = f"{at + 1} of {len(waiting.requests)} · " if len(waiting.requests) > 1 else ""
    child = f" · sub-RLM {short_id(request.thread_id)}" if request.thread_id != pending.run.thread_id else ""
    title = f"{many}{short_id(pending.run.thread_id)} asks to {purpose(request)}{child}"
    return Text(f"── {title}", style="bold yellow")


def _labelled(label: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{label:<10}", "bold"), (text, style))


def _fact(label: str, text: str, width: int | None) -> Iterator[Text]:
    """Yield a labelled text that may be untrusted: on one line if it fits there, else quoted."""
    line = safe_line(text)
    if "\n" not in text.strip() and (width is None or len(line) <= width - 10):
        yield _labelled(label, line)
        return
    yield _labelled(label, "")
    yield from _quoted(text, width)


def _quoted(text: str, width: int | None) -> Iterator[Text]:
    shown = marked(text.rstrip("\r\n"))
    yield from _warned(warning(shown.hidden))
    yield from framed(plain(shown), width)


def _warned(said: str) -> Iterator[Text]:
    if said:
        yield Text(f"Warning: {said}", style=_WARNING)


def _code(pending: Pending, request: Request, width: int | None) -> Iterator[Text]:
    code = str(request.args["code"])
    shown = marked(code.rstrip("\r\n"), code=True)
    yield from _warned(warning(shown.hidden))
    names = lookalikes(shown.text)
    yield from _warned(lookalike_warning(names))
    text = coloured(shown)
    for name in names:
        text.stylize(_LOOKALIKE, name.start, name.end)
    yield from framed(text, width, numbered=True)
    if (before := pending.cell_before(request)) is None:
        return
    if before.code.rstrip() == code.rstrip():
        yield Text(f"── the same as the cell of turn {before.turn}", style="bold")
    elif lines := difference(before.code, code):
        yield Text(f"── different from the cell of turn {before.turn}", style="bold")
        for line in lines:
            yield from framed(line, width)
    else:
        yield Text(f"── no line in common with the cell of turn {before.turn}", style="bold")


def _calls(args: Any, width: int | None, most: int | None) -> Iterator[Text]:
    calls = calls_in(args)
    count = args.get("count", len(calls))
    tokens_in, tokens_out = args.get("estimated_input_tokens"), args.get("output_tokens_at_most")
    cost = args.get("estimated_cost_usd")
    facts = [counted(count, "sub-call") if isinstance(count, int) else safe(str(count))]
    facts += [f"{args['chars']:,} characters"] if isinstance(args.get("chars"), int) else []
    facts += [f"about {tokens_in:,} tokens in"] if isinstance(tokens_in, int) else []
    facts += [f"at most {tokens_out:,} out"] if isinstance(tokens_out, int) else []
    facts += [f"at most {dollars(cost)}" if isinstance(cost, int | float) else "cost not known"]
    yield _labelled("Asks for", " · ".join(facts))
    shown = 0
    left = most
    same: dict[str, str] = {}
    for one in calls:
        if left is not None and left <= 0:
            break
        room = None if left is None else max(_LEAST, left)
        for title, text in parts_of(one, same):
            part = text if room is None else text[:room]
            cut = "" if len(part) == len(text) else f" · the first {len(part):,} are shown"
            yield Text(f"── {title}{cut}", style="bold")
            if part:
                yield from _quoted(part, width)
            left = left and left - len(part)
        shown += 1
    if isinstance(count, int) and count > shown:
        yield Text(f"── and {counted(count - shown, 'more sub-call')} not shown here", style="bold")


def is_cut(request: Request, most: int) -> bool:
    """Return whether a terminal that shows `most` characters of sub-calls shows only a part of the request."""
    if request.name != "sub_calls":
        return False
    calls = calls_in(request.args)
    same: dict[str, str] = {}
    return sum(len(text) for one in calls for _, text in parts_of(one, same)) > most


def _spend(args: Any) -> Iterator[Text]:
    labels = {"Limit": "asked_at_usd", "Spent": "spent_usd", "Wants": "wanted_usd", "Approved": "up_to_usd"}
    for label, key in labels.items():
        amount = args.get(key)
        yield _labelled(label, dollars(amount) if isinstance(amount, int | float) else "not known")


def _citations(citations: Any, width: int | None) -> Iterator[Text]:
    """Yield what the answer cites, in the form of its footnotes."""
    if citations:
        from ...state.evidence.footnotes import footnotes

        false = sum(not one["verified"] for one in citations)
        said = f", {false:,} of them NOT FOUND in the input" if false else ", all found in the input"
        yield Text(f"── {counted(len(citations), 'citation')}{said}", style=_WARNING if false else "bold")
        yield from _quoted("\n".join(footnotes(citations)), width)


def _files(files: Any, width: int | None) -> Iterator[Text]:
    """Yield the names of the files beside the answer, none of which is opened."""
    if files:
        yield Text(f"── {counted(len(files), 'file')} beside it, not opened", style="bold")
        lines = (f"{safe_line(one['name'])} · {megabytes(one['size'])} · sha256 {one['hash']}" for one in files)
        yield from _quoted("\n".join(lines), width)


def _budget(args: Any) -> Iterator[Text]:
    what = safe_line(str(args.get("resource", "")), 40)
    yield _labelled("Budget", f"{_number(args.get('spent'))} of {_number(args.get('limit'))} spent ({what})")
    if waiting := args.get("waiting_calls"):
        yield _labelled("Waiting", f"{_number(waiting)} sub-calls")


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else safe_line(str(value), 40)
