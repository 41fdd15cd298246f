"""The packages that the first request to the model lists as importable."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script


class WithPackages(MemoryKernels):
    """Kernels with a list of packages for each environment."""

    def packages(self, environment: str = "") -> Sequence[str]:
        return ("polars",) if environment else ("numpy", "regex")


async def first_request(folder: Path, **settings: Any) -> str:
    """Run a question and return the text of the first request to the root model."""
    model = write_script(folder / "m.py", [repl("FINAL('x')")])
    asked = Asked(model)
    async with Runner.open(folder / "home", kernels=WithPackages()) as runner:
        assert (await runner.run("Q?", model=model, **settings)).status == "answered"
    return asked.roots[0]


async def test_the_first_request_lists_the_packages_of_the_kernels(tmp_path: Path) -> None:
    assert "beside the standard library: numpy, regex." in await first_request(tmp_path)


async def test_the_first_request_lists_the_packages_of_the_users_environment(tmp_path: Path) -> None:
    assert "beside the standard library: polars." in await first_request(tmp_path, kernel_env=str(tmp_path))


async def test_the_first_request_lists_no_packages_with_another_kernel_provisioner(tmp_path: Path) -> None:
    assert "beside the standard library" not in await first_request(tmp_path, kernel_provisioner="theirs")
