"""`--kernel-env`: kernels run in a virtual environment of the user's, which is checked before."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.contract import run
from durable_rlm.kernel.host.environment import own_environment
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from durable_rlm.state.errors import UsageError


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
