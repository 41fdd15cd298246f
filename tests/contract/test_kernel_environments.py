"""`--kernel-env`: kernels run in a virtual environment of the user's, which is checked before."""

import subprocess
import sys
import sysconfig
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.host.python_env import OFFERED, environment_at, own_environment
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from durable_rlm.state.errors import UsageError
from tests.contract.session_contract import run


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


async def test_code_imports_what_is_in_the_environment_and_an_edit_there_is_impossible(kernels: Kernels) -> None:
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
    """An environment with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    return tmp_path / "empty"


async def test_an_environment_that_lacks_what_a_kernel_needs_is_refused_with_what_to_install(
    kernels: Kernels, empty: Path
) -> None:
    with pytest.raises(UsageError, match="pip install ipykernel cloudpickle pydantic"):
        await kernels.warm_up(environment=str(empty))


def test_by_default_a_kernel_sees_data_packages_and_what_they_need_and_no_other() -> None:
    names = {Path(path).name for path in own_environment().visible}
    assert {"numpy", "pandas", "pydantic", "ipykernel", "pypdf", "docx", "openpyxl"} <= names
    assert not {"langgraph", "openai", "langchain_core", "durable_rlm"} & names


async def test_what_code_is_promised_it_can_import(kernels: Kernels) -> None:
    promised = (await kernels.warm_up()).packages
    assert list(promised) == list(kernels.packages()) == list(OFFERED), "all of it is installed for tests"
    session = await kernels.start(KernelSpec("thread"))
    result = await run(session, f"import {', '.join(promised)}\nprint('all')")
    assert (result.error, result.output) == (None, "all\n")


def test_code_is_promised_only_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy", "pydantic", "langgraph"):
        info = tmp_path / f"{name}-1.0.dist-info"
        for folder in (tmp_path / name, info):
            folder.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    get_path = sysconfig.get_path

    def here(name: str) -> str:
        return str(tmp_path) if name in ("purelib", "platlib") else get_path(name)

    monkeypatch.setattr(sysconfig, "get_path", here)
    assert own_environment().offers == ["numpy", "pydantic"]


def test_in_an_environment_of_the_users_code_is_promised_what_is_there(empty: Path) -> None:
    [packages] = (empty / "lib").glob("python3.*/site-packages")
    for name in ("ipykernel", "cloudpickle", "pydantic", "pandas"):
        (packages / f"{name}.py").touch()
    assert environment_at(empty).offers == ["pandas", "pydantic"]
