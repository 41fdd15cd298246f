"""`--kernel-env`: kernels run in a virtual environment of the user's, which is checked first."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.host.python_env import OFFERED, EnvironmentUnusable, environment_at, own_environment
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from durable_rlm.state.errors import UsageError
from tests.contract.session_contract import run
from tests.e2e.program import CLEAN
from tests.sandbox.outside import PROJECT as ROOT
from tests.scripts import repl, write_script


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


async def test_code_can_import_from_the_environment_and_cannot_change_it(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread", environment=sys.prefix))
    result = await run(
        session,
        "import langgraph, pathlib\nplace = pathlib.Path(next(iter(langgraph.__path__)))\nprint(place)\n"
        "try:\n    (place / 'added').touch()\nexcept OSError as error:\n    print('refused')",
    )
    assert result.error is None, result.error
    found, refused = result.output.splitlines()
    assert Path(found).is_relative_to(Path(sys.prefix).resolve()) and refused == "refused"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Create a virtual environment without packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    return tmp_path / "empty"


async def test_an_environment_without_a_kernels_packages_is_refused_with_their_names(
    kernels: Kernels, empty: Path
) -> None:
    with pytest.raises(UsageError, match="pip install ipykernel cloudpickle pydantic"):
        await kernels.warm_up(environment=str(empty))


def test_by_default_a_kernel_sees_only_data_packages_and_their_dependencies() -> None:
    names = {Path(path).name for path in own_environment().visible}
    assert {"numpy", "pandas", "pydantic", "ipykernel", "pypdf", "lxml"} <= names
    assert not {"langgraph", "openai", "langchain_core", "durable_rlm"} & names


async def test_code_can_import_every_offered_package(kernels: Kernels) -> None:
    promised = (await kernels.warm_up()).packages
    assert list(promised) == list(kernels.packages()) == [name for name in OFFERED if name != "pyarrow"]
    session = await kernels.start(KernelSpec("thread"))
    result = await run(session, f"import {', '.join(promised)}\nprint('all')")
    assert (result.error, result.output) == (None, "all\n")


def test_only_installed_packages_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy", "pydantic", "langgraph", "ipykernel", "cloudpickle"):
        info = tmp_path / f"{name}-1.0.dist-info"
        for folder in (tmp_path / name, info):
            folder.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    get_path = sysconfig.get_path

    def here(name: str) -> str:
        return str(tmp_path) if name in ("purelib", "platlib") else get_path(name)

    monkeypatch.setattr(sysconfig, "get_path", here)
    monkeypatch.setattr(sys, "path", [])
    assert own_environment().offers == ["numpy", "pydantic"]


def test_the_packages_of_a_users_environment_are_offered(empty: Path) -> None:
    [packages] = (empty / "lib").glob("python3.*/site-packages")
    for name in ("ipykernel", "cloudpickle", "pydantic", "pandas"):
        (packages / f"{name}.py").touch()
    assert environment_at(empty).offers == ["pandas", "pydantic"]


@pytest.fixture
def layered(empty: Path) -> Path:
    """Add the packages of this environment to the empty one by a `.pth` file."""
    [packages] = (empty / "lib").glob("python3.*/site-packages")
    (packages / "layer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return empty


async def test_an_environment_layered_on_another_one_starts_kernels(kernels: Kernels, layered: Path) -> None:
    session = await kernels.start(KernelSpec("thread", environment=str(layered)))
    result = await run(session, "import numpy, langgraph\nprint(numpy.arange(3).sum())")
    assert (result.error, result.output) == (None, "3\n")


def test_a_run_of_a_program_in_a_layered_environment_is_answered(layered: Path, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("import numpy\nFINAL(int(numpy.arange(4).sum()))")])
    program = [str(layered / "bin" / "python"), "-P", "-m", "durable_rlm", "run", "What?", "--model", model]
    environment = {**CLEAN, "PYTHONPATH": str(ROOT / ".package")}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "6"), done.stderr


async def test_a_missing_module_is_named_and_not_taken_for_a_missing_sandbox(
    kernels: Kernels, layered: Path, tmp_path: Path
) -> None:
    [packages] = (layered / "lib").glob("python3.*/site-packages")
    partial = tmp_path / "partial"
    partial.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.is_dir() and entry.name.startswith(("ipykernel", "cloudpickle", "pydantic")):
            shutil.copytree(entry, partial / entry.name)
    (packages / "layer.pth").write_text(f"{partial}\n")
    with pytest.raises(UsageError, match="cannot start kernels: ModuleNotFoundError: No module named '"):
        await kernels.warm_up(environment=str(layered))


async def test_a_needed_package_of_an_unfit_version_is_refused_with_the_version_to_install(
    kernels: Kernels, empty: Path
) -> None:
    [packages] = (empty / "lib").glob("python3.*/site-packages")
    for name, version in (("ipykernel", "6.29.5"), ("cloudpickle", "3.1.1"), ("pydantic", "2.11.0")):
        (packages / f"{name}.py").touch()
        info = packages / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    with pytest.raises(UsageError, match=r"has ipykernel 6\.29\.5: .* -m pip install 'ipykernel.*>=7\.3'"):
        await kernels.warm_up(environment=str(empty))


def test_this_programs_environment_without_a_needed_package_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(name: str) -> str:
        del name
        return str(tmp_path)

    monkeypatch.setattr(sysconfig, "get_path", here)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(EnvironmentUnusable, match="ipykernel, cloudpickle, pydantic is not installed for"):
        own_environment()
