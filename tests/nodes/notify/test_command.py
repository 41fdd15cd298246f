"""Notifications to commands: JSON on stdin, without a shell or keys of models, ended in time with all they started."""

import asyncio
import os
import time
from pathlib import Path

import psutil
import pytest

from durable_rlm.nodes.notify.command import run_command, without_model_keys
from durable_rlm.nodes.notify.failures import SendingFailed

pytestmark = pytest.mark.processes
BODY = b'{"id": "e"}'


async def run(
    folder: Path, *words: str, seconds: float = 20.0, secret: bool = False, body: bytes = BODY
) -> SendingFailed | None:
    try:
        await run_command(words, body, folder, secret=secret, seconds=seconds)
    except SendingFailed as failed:
        return failed
    return None


async def test_a_command_has_the_notification_on_its_standard_input(tmp_path: Path) -> None:
    assert await run(tmp_path, "sh", "-c", 'cat > "$0"; pwd > where', "$(touch never)") is None
    assert (tmp_path / "$(touch never)").read_bytes() == BODY
    assert (tmp_path / "where").read_text().strip() == str(tmp_path.resolve())


async def test_a_command_need_not_read_it(tmp_path: Path) -> None:
    assert await run(tmp_path, "true", body=b"x" * (1 << 20)) is None


async def test_a_command_that_fails_is_reported_with_the_last_line_it_has_printed(tmp_path: Path) -> None:
    failed = await run(tmp_path, "sh", "-c", 'echo first; echo no "$0" >&2; exit 7', "way")
    assert failed and str(failed) == "it ended with status 7: no way"


@pytest.mark.parametrize("before", [50, 60, 70, 80])
async def test_a_key_is_hidden_also_where_the_middle_of_the_line_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "t0p-secret-0123456789-abcdefghij")
    line = f"{'x' * before}${{HOOK_TOKEN}}{'y' * 60}"
    failed = await run(tmp_path, "sh", "-c", f"echo {line}; exit 7")
    assert failed and not any(part in str(failed) for part in ("t0p-", "abc", "hij", "0123"))


async def test_a_secret_command_is_reported_without_what_it_has_printed(tmp_path: Path) -> None:
    failed = await run(tmp_path, "sh", "-c", "echo t0p-secret; exit 7", secret=True)
    assert failed and str(failed) == "it ended with status 7"


async def test_megabytes_of_output_are_read_and_not_kept(tmp_path: Path) -> None:
    failed = await run(tmp_path, "sh", "-c", "head -c 20000000 /dev/zero; echo; echo the end; exit 1")
    assert failed and str(failed) == "it ended with status 1: the end"


async def test_a_command_that_hangs_and_ignores_sigterm_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "open")
    script = "exec 3> open; trap '' TERM; sleep 600 & while :; do sleep 1; done"
    all_ended = asyncio.create_task(asyncio.to_thread((tmp_path / "open").read_bytes))
    begun = time.monotonic()
    failed = await run(tmp_path, "sh", "-c", script, seconds=0.5)
    assert failed and str(failed) == "it did not end within 0.5 s"
    await asyncio.wait_for(all_ended, 10)
    assert time.monotonic() - begun < 10


async def test_a_process_that_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert await run(tmp_path, "sh", "-c", "sleep 60 & echo $! > child") is None
    assert time.monotonic() - begun < 10
    psutil.Process(int((tmp_path / "child").read_text())).kill()


@pytest.mark.parametrize("word", ["no-such-program-t0p-secret", "./no-such-t0p-secret", "/dev/null"])
async def test_a_program_that_cannot_be_started_is_a_failure(tmp_path: Path, word: str) -> None:
    failed = await run(tmp_path, word)
    assert failed and "it cannot be started" in str(failed) and "t0p-secret" not in str(failed)


def test_a_command_has_the_environment_without_the_keys_of_models() -> None:
    keys = ["OPENAI_API_KEY", "RLM_API_KEY", "RLM_SUB_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    given = {**dict.fromkeys([*keys, "OTHER_APIKEY"], "k"), "PATH": "p", "NTFY_TOKEN": "t"}
    assert without_model_keys(given) == {"PATH": "p", "NTFY_TOKEN": "t"}


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    await run(tmp_path, "true")
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(5):
        await run(tmp_path, "true")
        await run(tmp_path, "no-such-program")
    assert len([*Path("/proc/self/fd").iterdir()]) == before
