"""Send one notification to one target, whichever kind it is."""

from pathlib import Path

from .command import run_command
from .targets import resolved, variable


async def send(target: str, body: str, event: str, *, key: str, folder: Path, now: float) -> None:
    """Send the JSON `body` of an event. Raises SendingFailed, with words that hold no secret.

    `target` and `key` are as in the settings; `folder` is where a command runs; `now` is in seconds since 1970.
    """
    found = resolved(target)
    if not found.url:
        await run_command(found.words, body.encode(), folder, secret=found.secret)
        return
    # Imported for addresses only: httpx takes a while.
    from .post import post

    await post(found.url, body.encode(), event, key=variable(key) if key else "", timestamp=int(now))
