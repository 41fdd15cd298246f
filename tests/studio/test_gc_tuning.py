"""Garbage collection: tuned in the program itself, and not in programs that import it."""

import gc
import subprocess
import sys

import pytest

from durable_rlm.studio.cli import gc_tuning
from durable_rlm.studio.main import main

_PROGRAM = "import sys, gc; from durable_rlm.studio.main import main; sys.argv = ['rlm', '--version']; main()"


def test_a_program_that_calls_main_keeps_its_own_collector_settings(capsys: pytest.CaptureFixture[str]) -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(SystemExit):
        main(["--version"])
    gc_tuning.keep()
    # Frozen objects may go, as others do, but none are added.
    assert gc.get_threshold() == before and gc.get_freeze_count() <= frozen
    assert capsys.readouterr().out


def test_the_program_collects_rarely_and_freezes_its_imports() -> None:
    look = (
        "import atexit; atexit.register(lambda: print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 1_000))"
    )
    said = subprocess.run([sys.executable, "-c", f"import gc; {look}; {_PROGRAM}"], capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "True True", said
