"""Finds the Python that kernels run, and the parts of it that they see."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

INSIDE = Path(__file__).resolve().parent.parent / "inside"
"""The code that runs in a kernel, by its real path, because symbolic links to it do not resolve in a sandbox."""
MATCHING = INSIDE.parent.parent / "matching"
"""The code that kernels and the host share."""
_OWN = "durable-rlm"
_LAYERS = ("nodes", "kernel", "state", "matching")
"""The folders of this package that programs import from."""
_FOR_CODE = ("extra == 'documents'", "extra == 'code'")
"""Markers of the extras whose packages are useful to code as well."""
_NEEDED = ("ipykernel", "cloudpickle", "pydantic")
_USEFUL = ("numpy", "pandas", "polars", "regex")
_PRELOADED = ("numpy", "pandas")
_WITH_THREADS = "pyarrow"
"""A package that pandas imports where it is installed, and that starts threads, with which no kernel can be forked."""
OFFERED = ("numpy", "pandas", "polars", "pyarrow", "pydantic", "regex", "lxml", "pypdf")
"""Modules worth naming to the model that writes the code, when they are installed."""
_ASK_SECONDS = 30.0
_ASK = """
import importlib.metadata, importlib.util, json, sys, sysconfig
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
there = {name: version(name) for name in %r if importlib.util.find_spec(name)}
print(json.dumps([getattr(sys, "_base_executable", sys.executable), sys.base_prefix, sysconfig.get_path("stdlib"),
                  [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path],
                  list(sys.version_info[:2]), there]))
"""


class EnvironmentUnusable(Exception):
    """The environment named for kernels cannot run them."""


@dataclass(frozen=True)
class KernelEnvironment:
    """A Python and its packages."""

    python: str
    """The interpreter, run without site-packages of its own."""
    packages: list[str]
    """Folders to import from beside the standard library."""
    visible: list[str]
    """Files and folders that contain all of it."""
    offers: list[str] = field(default_factory=list[str])
    """The modules of `OFFERED` that code can import."""
    preload: list[str] = field(default_factory=lambda: list(_PRELOADED))
    """Modules to import before a kernel asks for them."""


def own_environment() -> KernelEnvironment:
    """Return this program's own Python, with only the packages that kernels need and those useful to code.

    Useful are numpy, pandas, polars, regex, the readers of documents and of code, as far as they are installed.
    Raises EnvironmentUnusable, which names what kernels need and is not installed.
    """
    folders = own_folders()
    entries = sorted(set(_entries(folders, [*_NEEDED, *_USEFUL, *_extras()])))
    executable, visible = _own_python()
    names = {Path(entry).name.removesuffix(".py") for entry in entries}
    if lacks := [name for name in _NEEDED if name not in names]:
        raise EnvironmentUnusable(
            f"{', '.join(lacks)} is not installed for {sys.executable}: -m pip install {' '.join(lacks)}"
        )
    return KernelEnvironment(executable, folders, [*visible, *entries], [name for name in OFFERED if name in names])


def program_environment(packages: Iterable[str], group: str, preload: Iterable[str]) -> KernelEnvironment:
    """Return this program's own Python with this package itself, for programs that are parts of it.

    They can import the `documents` extra, the distributions named `packages`, and those that provide entry points of
    `group`, with their requirements.
    """
    folders = own_folders()
    added = list(importlib.metadata.entry_points(group=group))
    providers = [one.dist.name for one in added if one.dist]
    entries = set(_entries(folders, [*packages, *_extras(), *providers]))
    modules = {place for one in added for place in _module(one.module.partition(".")[0])}
    executable, visible = _own_python()
    [package] = _module(__name__.partition(".")[0])
    layers = [os.path.realpath(f"{package}/{name}") for name in _LAYERS]
    return KernelEnvironment(
        executable,
        list(dict.fromkeys([*folders, *(str(Path(place).parent) for place in (package, *sorted(modules)))])),
        _unique([*visible, package, *layers, *sorted(entries | modules)]),
        preload=list(preload),
    )


def own_folders() -> list[str]:
    """Return the folders into which this program's own packages were installed."""
    here = str(Path.cwd())
    layers = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    return _package_folders([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *layers])


def _own_python() -> tuple[str, list[str]]:
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return executable, _python(executable, sys.base_prefix, sysconfig.get_path("stdlib"))


def _module(name: str) -> list[str]:
    """Return the folders or the file of a module, which an editable install has outside of its packages' folder."""
    spec = importlib.util.find_spec(name)
    found = [*(spec.submodule_search_locations or [spec.origin or ""])] if spec else []
    return [os.path.realpath(one) for one in found if os.path.lexists(one)]


def environment_at(folder: Path) -> KernelEnvironment:
    """Return the whole virtual environment at `folder`. Raises EnvironmentUnusable, which says what it lacks."""
    python = folder / "bin" / "python"
    if not python.exists():
        raise EnvironmentUnusable(f"{folder} is no virtual environment: it has no bin/python")
    try:
        command = [str(python), "-c", _ASK % ((*_NEEDED, *OFFERED),)]
        said = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS, check=True, env={}, cwd="/").stdout
        executable, base, stdlib, folders, version, there = json.loads(said)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EnvironmentUnusable(f"{python} does not run: {error}") from error
    if lacks := [name for name in _NEEDED if name not in there]:
        raise EnvironmentUnusable(f"{folder} lacks {', '.join(lacks)}: {python} -m pip install {' '.join(lacks)}")
    if version < [3, 11]:
        raise EnvironmentUnusable(f"{folder} has Python {version[0]}.{version[1]}; kernels need 3.11 or later")
    if unfit := _unfit(there):
        wanted = " ".join(f"'{one}'" for one in unfit.values())
        raise EnvironmentUnusable(f"{folder} has {', '.join(unfit)}: {python} -m pip install {wanted}")
    executable = os.path.realpath(executable)
    # A file that ends in .pth can add folders elsewhere.
    layers = _package_folders(folders)
    outside = [layer for layer in layers if not Path(layer).is_relative_to(folder.resolve())]
    visible = [*_python(executable, base, stdlib), str(folder.resolve()), *outside]
    preload = [name for name in _PRELOADED if name != "pandas" or _WITH_THREADS not in there]
    return KernelEnvironment(executable, layers, visible, [name for name in OFFERED if name in there], preload)


def _unfit(versions: Mapping[str, str]) -> dict[str, Requirement]:
    """Return what kernels need and an environment has in another version than they work with, as it has it."""
    found: dict[str, Requirement] = {}
    for line in _own_requirements():
        requirement = Requirement(line)
        version = versions.get(requirement.name) if requirement.name in _NEEDED else None
        if version and not requirement.specifier.contains(version, prereleases=True):
            found[f"{requirement.name} {version}"] = requirement
    return found


def _own_requirements() -> list[str]:
    try:
        return importlib.metadata.requires(_OWN) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _package_folders(paths: Iterable[str]) -> list[str]:
    """Return those folders into which packages were installed, without those of the standard library."""
    return [path for path in _unique(paths) if any(Path(path).glob("*.dist-info"))]


def _python(executable: str, base: str, stdlib: str) -> list[str]:
    """Return the interpreter, its library, and the shared libraries beside it; /usr is visible as a whole."""
    shared = sorted(str(path) for path in Path(base, "lib").glob("*.so*"))
    return [
        path
        for path in _unique([executable, stdlib, *shared, str(INSIDE), str(MATCHING)])
        if not path.startswith("/usr/")
    ]


def _extras() -> list[str]:
    """Return the packages of the extras that are useful to code as well."""
    lines = (line for line in _own_requirements() if any(marker in line for marker in _FOR_CODE))
    return [found[0] for line in lines if (found := re.match(r"[\w.-]+", line))]


def _entries(folders: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Yield the files and folders of these packages and their requirements, as far as they are installed."""
    installed = {name: info for folder in folders for name, info in _installed(Path(folder))}
    seen: set[str] = set()
    todo = [_normal(name) for name in names]
    while todo:
        name = todo.pop()
        if name in seen or name not in installed:
            continue
        seen.add(name)
        info = installed[name]
        todo += _requirements(info)
        yield str(info)
        for entry in _top_level(info):
            if (path := info.parent / entry).exists():
                yield str(path)


def _installed(folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in os.scandir(folder):
        if entry.name.endswith(".dist-info"):
            yield _normal(entry.name.rsplit("-", 2)[0]), Path(entry.path)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(info: Path) -> Iterator[str]:
    for line in (info / "METADATA").read_text(errors="replace").splitlines():
        if not line:
            return  # the description begins
        if not line.startswith("Requires-Dist:") or "extra ==" in line:
            continue
        try:
            requirement = Requirement(line.partition(":")[2].strip())
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            yield _normal(requirement.name)


def _top_level(info: Path) -> set[str]:
    """Return the names that a package has added to the folder it is installed in."""
    lines = (info / "RECORD").read_text(errors="replace").splitlines()
    return {line.split(",", 1)[0].split("/", 1)[0].strip('"') for line in lines} - {"..", "__pycache__", ""}


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(os.path.realpath(path) for path in paths))
