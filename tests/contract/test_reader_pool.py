"""A pool of reader processes as a whole: several at once, the clock, what it leaves, and machines without a sandbox."""

import json
import tempfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from durable_rlm.kernel.confined import ProgramSpec
from durable_rlm.kernel.host.confined_programs import ForkedPrograms
from durable_rlm.kernel.host.sandbox_tiers import Tier
from durable_rlm.nodes.input.draft import ReadOptions, Unusable
from durable_rlm.nodes.input.reader_pool import ReaderPool
from durable_rlm.nodes.input.source import IngestStopped
from durable_rlm.state.errors import NoSandbox
from tests.contract.extractor_contract import form_of, read, reason
from tests.contract.reader_pools import (
    ALL_TIERS,
    below,
    environment_with_readers,
    open_files,
    pool_in,
    text_of,
    wait_until,
)
from tests.sandbox.attempts import skip_without


@pytest.fixture
def pool() -> Generator[ReaderPool]:
    pool = pool_in("none", processes=4)
    yield pool
    pool.close()


@pytest.mark.processes
def test_several_processes_read_at_once_and_results_are_kept_for_their_turn(pool: ReaderPool) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0.5")
        file.flush()
        read(pool, "well")
        begun = time.monotonic()
        waiting = [
            pool.extract(file.fileno(), 3, "slow", form_of("reads_slowly"), ReadOptions(), lambda: None)
            for _ in range(8)
        ]
        assert pool.ahead == 8
        for one in waiting:
            with one as extraction:
                assert text_of(extraction) == "slept"
        assert time.monotonic() - begun < 2.5, "eight files of half a second each, by four reader processes"


@pytest.mark.processes
def test_a_reader_that_hangs_is_stopped_by_the_clock(pool: ReaderPool) -> None:
    pool._clock = iter(range(0, 10_000, 20)).__next__  # type: ignore[assignment]
    assert reason(pool, "hangs") == "not readable: its reader was stopped (more than 32 s)"
    pool._clock = time.monotonic
    assert read(pool, "well").texts == ["words"]


@pytest.mark.processes
def test_a_caller_that_stops_does_not_wait_for_the_reader(pool: ReaderPool) -> None:
    begun = time.monotonic()

    def check() -> None:
        if time.monotonic() - begun > 0.3:
            raise IngestStopped("stopped")

    with pytest.raises(IngestStopped):
        read(pool, "hangs", check=check)
    assert time.monotonic() - begun < 2 and not pool._processes


@pytest.mark.processes
def test_a_fork_server_that_died_is_started_again(pool: ReaderPool) -> None:
    read(pool, "well")
    assert isinstance(pool._programs, ForkedPrograms) and pool._programs._process
    pool._programs._process.kill()
    pool._programs._process.wait()
    assert read(pool, "well").texts == ["words"]


@pytest.mark.processes
@pytest.mark.parametrize("tier", ALL_TIERS[:-1])
def test_a_tier_with_a_hole_reads_nothing(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without(tier)
    # As root, readers would run as a user who may not read the folder.
    monkeypatch.setattr("durable_rlm.kernel.host.sandbox_tiers._other_user", lambda: None)
    # The folder is not below /tmp, where they have their own folder.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as shown:
        monkeypatch.setattr(tempfile, "tempdir", shown)

        def holed(spec: ProgramSpec, sandboxed: bool) -> ForkedPrograms:
            environment = environment_with_readers(spec)
            return ForkedPrograms(spec, replace(environment, visible=[*environment.visible, shown]), [tier])

        pool = ReaderPool(holed)
        assert reason(pool, "well").startswith("not read: no sandbox holds here")
        with pytest.raises(NoSandbox, match="read a file of the user's"):
            holed(pool._spec, True)
        pool.close()
        assert list(Path(shown).iterdir()) == []


@pytest.mark.processes
def test_a_file_that_a_process_could_write_to_is_copied_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ReaderPool
) -> None:
    # Without a sandbox it reaches the file by its name; the copy has another one.
    monkeypatch.setattr(ForkedPrograms, "shields_files", property(lambda _: False))
    given = tmp_path / "given"
    given.write_text(json.dumps({"given": str(tmp_path / "elsewhere")}))
    before = given.read_bytes()
    with given.open("rb") as file:
        form = form_of("writes_to_given")
        with pool.extract(file.fileno(), len(before), "given", form, ReadOptions(), lambda: None) as extraction:
            assert text_of(extraction) == "7"
    assert given.read_bytes() == before


@pytest.mark.processes
def test_a_task_that_cannot_be_sent_costs_its_file(pool: ReaderPool) -> None:
    too_much = ReadOptions(passwords=("x" * (4 << 20),))
    with pytest.raises(Unusable) as refused:
        read(pool, "says_password", options=too_much)
    assert refused.value.reason.startswith("not read: its reader cannot be reached")
    assert read(pool, "well").texts == ["words"]


@pytest.mark.processes
def test_nothing_is_left_of_a_pool_that_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, descriptors = below(), open_files()
    pool = pool_in("none", processes=4)
    with tempfile.TemporaryFile() as file:
        begun = [
            pool.extract(file.fileno(), 0, "hangs", form_of("hangs"), ReadOptions(), lambda: None) for _ in range(8)
        ]
        # Some are read and not asked for.
        begun += [pool.extract(file.fileno(), 0, "well", form_of("well"), ReadOptions(), lambda: None)]
        assert len(below()) >= len(before) + 5 and len(begun) == 9
        pool.close()
    wait_until(lambda: below() == before)
    assert list(tmp_path.iterdir()) == [] and open_files() == descriptors


def test_without_a_sandbox_files_that_need_a_process_are_not_read() -> None:
    asked: list[bool] = []

    def refuse(spec: ProgramSpec, sandboxed: bool) -> ForkedPrograms:
        asked.append(sandboxed)
        raise NoSandbox("No sandbox holds.", hint="Install one.")

    pool = ReaderPool(refuse)
    for _ in range(2):
        assert reason(pool, "well") == "not read: no sandbox holds here; --unsandboxed reads it without one"
    assert asked == [True], "it is looked for once"
    pool.close()


def test_no_password_is_shown_by_what_holds_it() -> None:
    from durable_rlm.nodes.input.reader_pool import _Job, _Process

    options = ReadOptions(passwords=("opensesame",))
    with tempfile.TemporaryFile() as file:
        job = _Job(0, b'{"passwords": ["opensesame"]}', form_of("well"), cast(BinaryIO, file), cast(BinaryIO, file))
        assert "opensesame" not in repr([options, job, _Process(cast(Any, None), job)])
