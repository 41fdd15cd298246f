"""The environment of what is measured beside us: `bench/.environment`, made once by pip, and apart from `.venv`."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".environment"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def packages() -> list[str]:
    """Where its packages are, for what is measured in this process; nothing before it is made."""
    return [str(path) for path in FOLDER.glob("lib/*/site-packages")]


def made() -> Path:
    """Its Python. Raises CalledProcessError when pip cannot fill it."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / "requirements.txt"
    wanted = _REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing what is measured beside us into bench/.environment (once; about a minute) …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(_REQUIREMENTS)], check=True)
        stamp.write_text(wanted)
    return python
