"""LangGraph's SDK for JavaScript against `rlm dev`: `python -m bench.agent_server_js`, where Node and npm are.

Not part of `make bench-parts` nor of `make test`: npm fetches the SDK. The server, its runs and what npm installs are in a
temporary folder; the model is a script.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

CLIENT = Path(__file__).parent / "agent_server_js"
EXPECTED = 3

SCRIPT = """
LOOK = "count = len(context.splitlines())\\nprint('lines there are', count)"

def root(messages):
    seen = any("lines there are 3" in message["content"] for message in messages)
    return "```repl\\n" + ("FINAL(count)" if seen else LOOK) + "\\n```"

def sub(prompt):
    raise AssertionError("nothing is asked")
"""


@contextlib.contextmanager
def server(folder: Path) -> Generator[dict[str, str]]:
    """A server over a fresh home, as `{"url", "token", …}`; stopped at the end."""
    (folder / "model.py").write_text(SCRIPT)
    command = [Path(sys.executable).with_name("rlm"), "dev", "--port", "0", "--json"]
    environment = {**os.environ, "RLM_HOME": str(folder / "home"), "RLM_MODEL": f"scripted:{folder / 'model.py'}"}
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = "".join(itertools.takewhile(lambda line: line != "}\n", process.stdout))
            if not told:
                raise SystemExit("the server did not start")
            yield json.loads(told + "}")
        finally:
            process.send_signal(signal.SIGINT)


def main() -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        raise SystemExit("this needs Node and npm")
    with tempfile.TemporaryDirectory() as name:
        client = Path(shutil.copytree(CLIENT, Path(name) / "client", ignore=shutil.ignore_patterns("node_modules")))
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], cwd=client, check=True
        )
        with server(Path(name)) as serving:
            told = {"RLM_URL": serving["url"], "RLM_TOKEN": serving["token"]}
            ran = subprocess.run(
                ["node", "client.mjs"],
                cwd=client,
                env={**os.environ, **told},
                stdout=subprocess.PIPE,
                text=True,
                timeout=120,
            )
        print(ran.stdout, end="")
        if ran.returncode or json.loads(ran.stdout)["answer"] != EXPECTED:
            raise SystemExit("the client did not get through, or got another answer")


if __name__ == "__main__":
    main()
