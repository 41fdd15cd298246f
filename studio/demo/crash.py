"""The demo's process that is killed in the middle of its sub-calls: `python -m durable_rlm.studio.demo.crash`.

Takes the home and the name of the thread. An environment variable (`model.KILL_AFTER`) makes it kill itself.
"""

import sys
from pathlib import Path

from ..cli.new_run import start
from ..invocation import Invocation
from .corpus import QUESTION, corpus, offline_settings

if __name__ == "__main__":
    home, thread, *unsandboxed = sys.argv[1:]
    settings = offline_settings(unsandboxed=bool(unsandboxed))
    start(Invocation(Path(home)), QUESTION, corpus(), settings, thread=thread)
