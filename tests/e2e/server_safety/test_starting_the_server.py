"""Starting `rlm dev`: its output, its options, the files it writes and the hosts it connects to."""

import json
import socket
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from durable_rlm.studio.main import main
from durable_rlm.studio.server import config
from tests.e2e.server_safety.served import CLEAN, JSON, RLM, Served, served, start

ROOT = Path(__file__).parents[3]


def refused(folder: Path, *flags: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `rlm dev` with arguments that keep it from starting."""
    command = [str(RLM), "dev", *flags]
    env = {**CLEAN, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_stdout_has_the_url_the_token_and_ways_to_connect_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    process = start(tmp_path / "folder")
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=30)
    url, _, token = lines[2].split()[1].partition("/rlm?token=")
    assert url.startswith("http://127.0.0.1:") and len(token) > 40
    assert f'get_client(url="{url}", api_key="{token}")' in lines[3]
    assert f'apiUrl: "{url}", apiKey: "{token}"' in lines[4]
    assert "--allow-hosted-studio" in lines[5]
    log = (tmp_path / "folder.log").read_text()
    assert rest == "" and token not in log and "[info" not in log


def test_json_output_is_one_document_and_each_start_has_a_new_token(server: Served, tmp_path: Path) -> None:
    with served(tmp_path / "folder") as other:
        assert other.token != server.token
        assert server.search({**JSON, **other.key}) == 401
        other.process.terminate()
        out, _ = other.process.communicate(timeout=30)
    assert out == "" and other.process.returncode == 130


def test_the_token_is_in_no_command_line_file_or_log(tmp_path: Path) -> None:
    with served(tmp_path / "folder", "--debug", RLM_SERVER_TOKEN="0123456789abcdef-given") as server:
        assert server.token == "0123456789abcdef-given"
        server.ask("GET", f"/rlm?token={server.token}")
        server.ask("GET", f"/info?token={server.token}", server.key)
        server.ask("GET", f"/threads/{server.token}", server.key)
        server.search({**JSON, **server.key})
        process = psutil.Process(server.process.pid)
        for one in [process, *process.children(recursive=True)]:
            assert server.token not in " ".join(one.cmdline())
    log = server.log.read_text()
    assert "GET /info 200" in log and server.token not in log
    for file in server.folder.rglob("*"):
        assert not file.is_file() or server.token.encode() not in file.read_bytes()


def test_a_malformed_token_of_the_user_is_refused(tmp_path: Path) -> None:
    ended = refused(tmp_path, "--json", RLM_SERVER_TOKEN="short")
    assert ended.returncode == 2 and json.loads(ended.stdout)["error"]["type"] == "UsageError"
    assert "short" not in ended.stdout


def test_a_port_in_use_is_named_and_no_other_is_tried(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = refused(tmp_path, "--port", str(port))
    assert ended.returncode == 2 and ended.stdout == ""
    assert f"Port {port} of 127.0.0.1 is taken" in ended.stderr and "--port 0" in ended.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was created"


def test_a_second_server_over_the_same_home_is_refused(server: Served, tmp_path: Path) -> None:
    ended = refused(tmp_path, "--port", "0", "--home", str(server.folder / ".rlm"))
    assert ended.returncode == 2 and "Another server serves the runs in" in ended.stderr


def test_an_unusable_home_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ended = refused(tmp_path, "--port", "0", "--json", "--home", str(tmp_path / "file"))
    error = json.loads(ended.stdout)["error"]
    assert (ended.returncode, error["type"]) == (1, "StoreError") and "Traceback" not in ended.stderr


def test_without_the_extra_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def not_found(name: str) -> None:
        del name

    monkeypatch.setattr("durable_rlm.studio.commands.dev.find_spec", not_found)
    with pytest.raises(SystemExit) as ended:
        main(["dev"])
    assert ended.value.code == 2 and "pip install 'durable-rlm[server]'" in capfd.readouterr().err


def test_an_address_other_than_loopback_gives_a_warning(tmp_path: Path) -> None:
    with served(tmp_path / "folder", "--host", "0.0.0.0") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.ask("GET", "/ok", server.key).status_code == 200
        assert server.ask("GET", "/ok").status_code == 401
        warning = " ".join(server.log.read_text().split())
        assert "lets other machines connect" in warning and "run code here" in warning
    assert refused(tmp_path, "--host", "192.0.2.1").returncode == 2


def test_the_working_folder_stays_the_users_and_gets_no_file_but_the_home(tmp_path: Path) -> None:
    folder, home = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "rlm.toml").write_text("model = 'scripted:m.py'\n")
    with served(folder, "--home", str(home)) as server:
        assert psutil.Process(server.process.pid).cwd() == str(folder)
        created = server.ask("POST", "/threads", {**JSON, **server.key}, "{}")
        assert created.status_code == 200
    assert [one.name for one in folder.iterdir()] == ["rlm.toml"]
    assert {one.name for one in home.iterdir()} <= {
        *("blobs", "checkpoints.sqlite", "checkpoints.sqlite-reserve", "server"),
        *(".gitignore", "CACHEDIR.TAG"),
    }
    assert stat.S_IMODE((home / "server").stat().st_mode) == 0o700
    assert (home / "server" / ".langgraph_ops.pckl").exists()
    # Threads that clients created are there again.
    with served(folder, "--home", str(home)) as server:
        again = server.ask("GET", f"/threads/{created.json()['thread_id']}", server.key)
        assert again.status_code == 200


_LISTENING_IN = """
import os, sys
def _hook(event, arguments):
    if event == "socket.getaddrinfo":
        where = repr(arguments[0])
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        where = repr(arguments[1][0])
    else:
        return
    log = os.open(os.environ["CONNECTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{event} {where}\\n".encode())
    os.close(log)
sys.addaudithook(_hook)
"""


def test_the_server_connects_to_loopback_only_whatever_keys_are_set(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_LISTENING_IN)
    connected = tmp_path / "connected"
    # The hook works: a connection would be seen.
    environment = {"PYTHONPATH": str(tmp_path / "site"), "CONNECTED": str(connected)}
    keys = {"LANGSMITH_API_KEY": "lsv2_x", "LANGCHAIN_API_KEY": "lsv2_x", "LANGGRAPH_CLOUD_LICENSE_KEY": "lcl_x"}
    with served(tmp_path / "folder", "--host", "localhost", **environment, **keys) as server:
        assert server.ask("GET", "/info", server.key).status_code == 200
        assert server.search({**JSON, **server.key}) == 200
    seen = set(connected.read_text().splitlines())
    assert "socket.getaddrinfo 'localhost'" in seen, "the hook sees look-ups"
    assert {line.partition(" ")[2] for line in seen} <= {"'localhost'", "'127.0.0.1'", "'::1'"}


def test_langgraph_json_agrees_with_the_code() -> None:
    written = json.loads((ROOT / "langgraph.json").read_text())
    assert written["graphs"] == config.GRAPHS
    assert written["checkpointer"] == config.CHECKPOINTER
    assert written["auth"] == config.AUTH
    assert written["http"] == config.HTTP
