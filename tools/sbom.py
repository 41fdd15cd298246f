"""Print the bill of materials of a release, CycloneDX 1.5 as JSON: `python tools/sbom.py [LOCK] > sbom.json`.

The components are the packages pinned in LOCK, `requirements/demo.txt` by default: the product's own, and those that
build it. Their hashes are those of all the files that pip accepts for a pin. The output depends on LOCK and
`pyproject.toml` alone, so it has no serial number and no timestamp. https://cyclonedx.org/docs/1.5/json/
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "demo.txt"
MARKER = "durable-rlm:environment-marker"
"""The property that holds a pin's environment marker: on other machines the package is not installed."""

_PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """A package that a lock pins, with the SHA-256 hashes of its files."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def pins(lock: str) -> Iterator[Pin]:
    """Yield the pins of a lock file's text. Raises ValueError for a line that is no pin with hashes."""
    for line in lock.replace("\\\n", " ").splitlines():
        pin, hashes = _PIN.fullmatch(_HASH.sub("", line).strip()), _HASH.findall(line)
        if pin is None or not hashes:
            raise ValueError(f"not a pin with hashes: {line[:80]!r}")
        yield Pin(pin["name"], pin["version"], pin["marker"] or "", tuple(sorted(hashes)))


def bill_of_materials(project: Mapping[str, Any], pinned: Sequence[Pin]) -> dict[str, Any]:
    """Return the CycloneDX document of a project, described by its table in `pyproject.toml`."""
    itself = {
        **_identity("application", project["name"], project["version"]),
        "description": project["description"],
        "licenses": [{"expression": project["license"]}],
    }
    ordered = sorted(pinned, key=lambda pin: (pin.name, pin.version))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": itself},
        "components": [_component(pin) for pin in ordered],
    }


def _component(pin: Pin) -> dict[str, Any]:
    component = {
        **_identity("library", pin.name, pin.version),
        "hashes": [{"alg": "SHA-256", "content": content} for content in pin.hashes],
    }
    if pin.marker:
        component["properties"] = [{"name": MARKER, "value": pin.marker}]
    return component


def _identity(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version, safe='')}"
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main(arguments: Sequence[str]) -> None:
    """Print the bill of materials of the lock that `arguments` name, or of the product's lock."""
    lock = Path(arguments[0]) if arguments else LOCK
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    document = bill_of_materials(project, list(pins(lock.read_text(encoding="utf-8"))))
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
