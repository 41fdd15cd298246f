"""kill -9 at every named crash point, then the same command again: the same answer, and nothing paid twice."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import repl, write_script

CHILD = Path(__file__).parent / "crashing_run.py"

REPLIES = [
    repl("words = context.split()\nfirst = llm_query_batched(words)\nprint(first)"),
    repl("second = [llm_query(word) for word in first[:2]]"),
    repl("FINAL(first + second)"),
]


def start(home: Path, model: str, log: Path, point: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHILD), str(home), model, str(log), str(point)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(log: Path) -> Counter[str]:
    """What the model was really asked, from its own record."""
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    model = logged_model(folder)
    done = start(folder / "home", model, folder / "points", 0)
    assert done.returncode == 0, done.stderr
    return {
        "run": json.loads(done.stdout),
        "points": (folder / "points").read_text().splitlines(),
        "asked": asked(folder / "asked"),
    }


def logged_model(folder: Path) -> str:
    """A scripted model that writes down each prompt it is asked, as a server would."""
    record = f"open({str(folder / 'asked')!r}, 'a').write(prompt + '\\n')"
    name = write_script(folder / "m.py", REPLIES, sub=f"{record}; return prompt.upper() + '!'")
    text = (folder / "m.py").read_text()
    write_down = f"    open({str(folder / 'asked')!r}, 'a').write(f'root {{done}}\\n')"
    marked = text.replace("    return REPLIES[done]", f"{write_down}\n    return REPLIES[done]")
    assert marked != text
    (folder / "m.py").write_text(marked)
    return name


@pytest.mark.kill
def test_an_undisturbed_run_passes_every_kind_of_point(undisturbed: dict[str, Any]) -> None:
    assert undisturbed["run"]["answer"] == ["ALPHA!", "BETA!", "GAMMA!", "DELTA!", "ALPHA!!", "BETA!!"]
    assert set(undisturbed["points"]) >= {
        *("prepare-end", "plan-end", "cell-sent", "cell-ended", "finalize-end", "sub_call-end"),
        *("request-before", "request-after", "journal-before", "journal-after", "deliver-before", "deliver-after"),
    }


@pytest.mark.kill
@pytest.mark.parametrize("share", [n / 12 for n in range(12)])
def test_killed_anywhere_it_goes_on_to_the_same_answer(
    undisturbed: dict[str, Any], tmp_path: Path, share: float
) -> None:
    points = undisturbed["points"]
    point = 1 + int(share * len(points))
    model = logged_model(tmp_path)
    killed = start(tmp_path / "home", model, tmp_path / "points", point)
    assert killed.returncode == -9
    # In flight at the kill: asked, and not yet on disk.
    passed = Counter((tmp_path / "points").read_text().splitlines())
    in_flight = passed["request-before"] - passed["journal-after"]
    resumed = start(tmp_path / "home", model, tmp_path / "points", 0)
    assert resumed.returncode == 0, resumed.stderr
    run = json.loads(resumed.stdout)
    assert (run["status"], run["answer"]) == ("answered", undisturbed["run"]["answer"])
    twice = asked(tmp_path / "asked") - undisturbed["asked"]
    assert sum(twice.values()) <= in_flight, f"paid twice: {twice}"
