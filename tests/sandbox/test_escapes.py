"""Hostile code in a kernel gets nowhere, in every tier, whoever the user is; outside, the same attempts succeed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.sandbox import lesser
from tests.sandbox.hostile import ATTEMPTS, CONTROLS
from tests.sandbox.trying import EXPECTED, MAY_BE_MISSING, Came, all_powerful, try_everything

TIERS = ("bubblewrap", "namespaces", "landlock")


@pytest.fixture
def others_folder() -> Generator[Path]:
    """A folder of another user's, which pytest's own are not open to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, lesser.OTHER, lesser.OTHER)
        yield Path(folder)


def is_there(tier: str) -> None:
    """Skip where a tier cannot be had; that it does not hold is no reason."""
    if tier == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


def holds(came: Came, tier: str) -> None:
    assert came.tier == tier
    assert came.escapes == {}
    assert came.touched == []
    assert set(came.outcomes) == set(ATTEMPTS)
    assert came.work_undone == {}
    assert came.failed_controls == {}
    # What everybody may do, less what only some machines have.
    assert set(came.controls) >= {name for name, who in CONTROLS.items() if who == "anyone"} - MAY_BE_MISSING


@pytest.mark.parametrize("tier", TIERS)
async def test_no_attempt_to_escape_succeeds(tier: str, tmp_path: Path) -> None:
    is_there(tier)
    came = await try_everything(tier, tmp_path)
    holds(came, tier)
    assert len(came.work) == (4 if tier == "landlock" else len(EXPECTED))


@pytest.mark.parametrize("tier", TIERS)
def test_no_attempt_succeeds_where_the_user_is_not_root(tier: str, others_folder: Path) -> None:
    is_there(tier)
    came = as_another_user(tier, others_folder)
    assert came.user == lesser.OTHER
    holds(came, tier)


def test_without_user_namespaces_the_tier_that_needs_none_is_taken_and_holds(others_folder: Path) -> None:
    came = as_another_user("", others_folder, namespaces=False)
    holds(came, "landlock")


def as_another_user(tier: str, folder: Path, *, namespaces: bool = True) -> Came:
    if not all_powerful():
        pytest.skip("only root can be another user; not being root, the other tests say the same")
    program = [sys.executable, "-m", "tests.sandbox.trying", tier, str(folder)]
    done = subprocess.run(
        lesser.command(*program, user=lesser.OTHER, namespaces=namespaces),
        cwd=lesser.PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Came(**json.loads(done.stdout))
