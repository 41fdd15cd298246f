"""The bill of materials of a release has every pinned package, and the project itself."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tools.sbom import LOCK, MARKER, ROOT, Pin, bill_of_materials, main, pins

PROJECT = {"name": "a-project", "version": "1.2.3", "description": "Does it.", "license": "MIT"}
A, B, C = "a" * 64, "b" * 64, "c" * 64
LOCK_TEXT = f"""\
zebra==1.0 \\
    --hash=sha256:{B} \\
    --hash=sha256:{A}
Some_Package==2.0+cpu ; python_full_version < '3.12' and sys_platform == 'linux' \\
    --hash=sha256:{C}
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(arguments)
    return capsys.readouterr().out


def test_a_lock_is_read_with_its_markers_and_hashes() -> None:
    assert list(pins(LOCK_TEXT)) == [
        Pin("zebra", "1.0", "", (A, B)),
        Pin("Some_Package", "2.0+cpu", "python_full_version < '3.12' and sys_platform == 'linux'", (C,)),
    ]


@pytest.mark.parametrize("line", ["zebra==1.0", "zebra>=1.0 --hash=sha256:" + A, "-r other.txt", "# a comment"])
def test_a_line_that_pins_nothing_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not a pin with hashes"):
        list(pins(f"{LOCK_TEXT}{line}\n"))


def test_components_are_sorted_and_have_package_urls_and_hashes() -> None:
    assert bill_of_materials(PROJECT, list(pins(LOCK_TEXT)))["components"] == [
        {
            "type": "library",
            "bom-ref": "pkg:pypi/some-package@2.0%2Bcpu",
            "name": "Some_Package",
            "version": "2.0+cpu",
            "purl": "pkg:pypi/some-package@2.0%2Bcpu",
            "hashes": [{"alg": "SHA-256", "content": C}],
            "properties": [{"name": MARKER, "value": "python_full_version < '3.12' and sys_platform == 'linux'"}],
        },
        {
            "type": "library",
            "bom-ref": "pkg:pypi/zebra@1.0",
            "name": "zebra",
            "version": "1.0",
            "purl": "pkg:pypi/zebra@1.0",
            "hashes": [{"alg": "SHA-256", "content": A}, {"alg": "SHA-256", "content": B}],
        },
    ]


def test_the_bill_has_the_project_and_all_pins_of_its_lock(capsys: pytest.CaptureFixture[str]) -> None:
    document: dict[str, Any] = json.loads(printed(capsys))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    itself = document["metadata"]["component"]
    assert itself["purl"] == f"pkg:pypi/durable-rlm@{version('durable-rlm')}"
    assert itself["licenses"] == [{"expression": "MIT"}]
    text = LOCK.read_text()
    components = document["components"]
    assert len(components) > 50
    pinned = sorted(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M))
    assert sorted((one["name"], one["version"]) for one in components) == pinned
    hashes = [one["content"] for component in components for one in component["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", text))
    assert len({one["bom-ref"] for one in components}) == len(components)


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda lock: lock.stem)
def test_the_same_lock_gives_the_same_bytes(capsys: pytest.CaptureFixture[str], lock: Path) -> None:
    once = printed(capsys, str(lock))
    assert once == printed(capsys, str(lock)) and str(ROOT) not in once
