"""A wheel and an sdist, built from a checkout without links, answer the demo's question in an empty environment."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.test_packaging import PRODUCT, checkout_without_links

__all__ = ["checkout_without_links"]

pytestmark = [pytest.mark.slow, pytest.mark.processes]


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_built_package_answers_the_demo(checkout_without_links: Path, tmp_path: Path, kind: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")],
        cwd=checkout_without_links,
        check=True,
        capture_output=True,
    )
    [package] = (tmp_path / "dist").glob(kind)
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "--only-binary", ":all:", "--require-hashes", "-r", str(PRODUCT)], check=True)
    subprocess.run([*install, "--no-build-isolation", str(package)], check=True)
    demo = subprocess.run(
        [str(python.with_name("rlm")), "demo", "--plain"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert demo.returncode == 0, demo.stderr
    assert demo.stdout.strip()
