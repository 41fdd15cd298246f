"""Extractors of both kinds: the contract, and what confined reader processes promise beside it, in each tier."""

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.host.confined_programs import Plain
from durable_rlm.kernel.host.sandbox_tiers import Tier
from durable_rlm.nodes.input.draft import ReadOptions
from durable_rlm.nodes.input.extraction import Extractor
from durable_rlm.nodes.input.reader_pool import ReaderPool
from tests.contract.extractor_contract import SECONDS, ExtractorContract, form_of, read, reason
from tests.contract.in_process_extractor import InProcessExtractor
from tests.contract.reader_pools import (
    ALL_TIERS,
    READERS,
    below,
    environment_with_readers,
    group_exists,
    kill_readers,
    pool_in,
    text_of,
    wait_until,
)
from tests.sandbox.attempts import skip_without


class TestInProcess(ExtractorContract):
    @pytest.fixture
    def extractor(self, monkeypatch: pytest.MonkeyPatch) -> Extractor:
        monkeypatch.syspath_prepend(str(READERS.parent))
        return InProcessExtractor()


@pytest.fixture(scope="module", params=ALL_TIERS)
def tier(request: pytest.FixtureRequest) -> Tier:
    if request.param != "none":
        skip_without(request.param)
    return request.param


@pytest.fixture(scope="module")
def shared(tier: Tier) -> Generator[ReaderPool]:
    pool = pool_in(tier)
    yield pool
    pool.close()


@pytest.mark.processes
class TestProcesses(ExtractorContract):
    @pytest.fixture
    def extractor(self, shared: ReaderPool) -> Extractor:
        return shared

    @pytest.mark.parametrize(
        ("reader", "words"),
        [
            ("aborts", "crashed (signal "),
            ("faults", "crashed (signal 11)"),
            ("leaves", "ended without an answer"),
            ("spins_in_c", f"was stopped (more than {SECONDS:g} s of CPU time)"),
            ("eats_memory", "needed more than 1 GB of memory"),
            ("eats_memory_in_c", "crashed (signal "),
        ],
    )
    def test_a_process_that_dies_costs_one_file_and_one_reason(
        self, extractor: Extractor, reader: str, words: str
    ) -> None:
        said = reason(extractor, reader)
        assert said.startswith("not readable: its reader ") and words in said
        assert read(extractor, "well").texts == ["words"]

    def test_a_process_killed_from_outside_costs_one_file(self, extractor: Extractor) -> None:
        [one] = read(extractor, "well").documents
        assert "process" in one.meta
        ended = threading.Timer(0.3, kill_readers)
        ended.start()
        assert reason(extractor, "hangs").startswith("not readable: its reader was killed")
        assert read(extractor, "well").texts == ["words"]

    def test_one_process_reads_many_files(self, extractor: Extractor) -> None:
        assert len({read(extractor, "well").documents[0].meta["process"] for _ in range(5)}) == 1

    def test_output_without_end_is_cut_off(self, extractor: Extractor) -> None:
        assert reason(extractor, "writes_without_end").startswith("too large (1 GiB")
        # It fails in the reader itself, whose failures are damage.
        assert reason(extractor, "fills_its_output") in ("a damaged sample", "too large (over 1280 MiB when read)")
        assert read(extractor, "well").texts == ["words"]

    @pytest.mark.parametrize(
        "fact",
        [
            {"name": "/etc/passwd"},
            {"name": "a/../../b"},
            {"name": 3},
            {"name": "x" * 5_000},
            {"start": 1},
            {"end": 900},
            {"end": True},
            {"chars": 2},
            {"chars": -1},
            {"meta": []},
            {"meta": {"x": "y" * (2 << 20)}},
            {"meta": {"x": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}},
            {"places": {"pages": {"at": [0, 5]}}},
            {"places": {"pages": {"at": [-1]}}},
            {"places": {"pages": {"at": [0.5]}}},
            {"places": {"pages": {"at": [0], "label": []}}},
            {"places": {"pages": {"at": [0], "label": [{}]}}},
            {"places": {"pages": {}}},
            {"places": {"pages": 3}},
            {"places": {"elsewhere": {"at": [0]}}},
            {"places": {"rows": {"runs": [[0, 1]]}}},
            {"places": {"rows": {"runs": [[9, 1, 1]]}}},
            {"places": {"rows": {"runs": [], "columns": {"1:1": ["A"]}}}},
            {"places": []},
            {"losses": "all"},
            {"losses": [1]},
        ],
        ids=str,
    )
    def test_nothing_that_a_process_says_is_believed(self, extractor: Extractor, fact: dict[str, Any]) -> None:
        good = {"name": "", "start": 0, "end": 0, "chars": 0, "meta": {}, "places": {}, "losses": []}
        # Without the wrong part it would be believed.
        assert len(read(extractor, "tells_nonsense", json.dumps(good).encode() + b"\n").documents) == 2
        said = reason(extractor, "tells_nonsense", json.dumps({**good, **fact}).encode() + b"\n")
        assert said.startswith("damaged: its reader returned nonsense")

    @pytest.mark.parametrize(
        "line", [b"", b"[]", b"null", b"{", b'{"name": NaN}', b"[" * 100_000, b"\xff\xfe", b"{}"], ids=repr
    )
    def test_facts_that_are_no_facts_are_damage(self, extractor: Extractor, line: bytes) -> None:
        assert reason(extractor, "tells_nonsense", line + b"\n").startswith("damaged: its reader returned nonsense")

    @pytest.mark.parametrize(
        "said", [b"[]", b"{", b'{"done": 1}', b'{"unusable": 3}', b"[" * 50_000, b"\xff"], ids=repr
    )
    def test_nonsense_instead_of_an_answer_is_damage(self, extractor: Extractor, said: bytes) -> None:
        assert reason(extractor, "answers_nonsense", said) == "damaged: its reader returned nonsense"
        assert read(extractor, "well").texts == ["words"]

    def test_text_that_a_process_changes_later_stays_as_it_was_checked(self, extractor: Extractor) -> None:
        form = form_of("changes_its_text_later")
        with tempfile.TemporaryFile() as file:
            file.write(b"words")
            file.flush()
            with extractor.extract(file.fileno(), 5, "given", form, ReadOptions(), lambda: None) as extraction:
                time.sleep(0.2)
                assert text_of(extraction) == "words"

    def test_processes_that_a_reader_starts_end_with_their_process(self, extractor: Extractor, tier: Tier) -> None:
        read(extractor, "well")
        before = below()
        found = read(extractor, "forks")
        assert found.texts == ["0 started" if tier == "landlock" else "4 started"]
        group = found.documents[0].meta["process"]
        read(extractor, "well")
        if tier == "none":
            # Nobody else waits for them, so that they are not below this process any more.
            wait_until(lambda: not group_exists(group))
        wait_until(lambda: len(below()) <= len(before))

    def test_a_reader_reaches_nothing_of_the_users(
        self, extractor: Extractor, tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_SECRET", "of the user's")
        (tmp_path / "secret").write_text("of the user's")
        (tmp_path / "secret").chmod(0o666)
        given = tmp_path / "given"
        with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            unix.bind(str(tmp_path / "s"))
            unix.listen()
            place = {
                **{"secret": str(tmp_path / "secret"), "folder": str(tmp_path), "given": str(given)},
                **{"port": tcp.getsockname()[1], "socket": str(tmp_path / "s"), "process": os.getpid()},
                "project": str(READERS.parents[2] / "pyproject.toml"),
            }
            given.write_text(json.dumps(place))
            given.chmod(0o666)
            with (
                given.open("rb") as file,
                extractor.extract(
                    file.fileno(), given.stat().st_size, "given", form_of("probes"), ReadOptions(), lambda: None
                ) as extraction,
            ):
                outcomes = json.loads(text_of(extraction))
        could = {name for name, outcome in outcomes.items() if outcome.startswith("could")}
        assert "read its own package" in could
        if tier == "none":
            assert could >= {"read a secret", "list the folder", "connect by TCP", "write to the given file"}
            assert "have a secret in the environment" not in could
        else:
            assert could == {"read its own package"}, outcomes
            assert json.loads(given.read_text()) == place and (tmp_path / "secret").read_text() == "of the user's"

    def test_libreoffice_runs_in_the_confinement(self, extractor: Extractor, tier: Tier) -> None:
        if not shutil.which("soffice"):
            pytest.skip("LibreOffice is not installed")
        if tier == "landlock":
            assert reason(extractor, "starts_a_program") == "a damaged sample"
            return
        with tempfile.TemporaryFile() as file:
            file.write(b"{\\rtf1 words}")
            file.flush()
            form = form_of("converts")
            for _ in range(2):
                with extractor.extract(file.fileno(), 13, "a.rtf", form, ReadOptions(), lambda: None) as extraction:
                    assert text_of(extraction) == "PK"


@pytest.mark.processes
class TestPlainProcesses(ExtractorContract):
    """Reader processes of a machine on which nothing can be forked, such as macOS."""

    @pytest.fixture
    def extractor(self) -> Generator[Extractor]:
        pool = ReaderPool(lambda spec, _: Plain(spec, environment_with_readers(spec)), sandboxed=False, processes=1)
        yield pool
        pool.close()

    def test_a_process_that_dies_costs_one_file(self, extractor: Extractor) -> None:
        assert "crashed (signal 6)" in reason(extractor, "aborts")
        assert "CPU time" in reason(extractor, "spins")
        assert "memory" in reason(extractor, "eats_memory")
        assert read(extractor, "well").texts == ["words"]
