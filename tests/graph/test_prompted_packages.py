"""The model is told what its code can import, of the kernels that it has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script


class WithPackages(MemoryKernels):
    """Kernels that know of packages, by environment."""

    def packages(self, environment: str = "") -> Sequence[str]:
        return ("polars",) if environment else ("numpy", "regex")


async def first_request(folder: Path, **settings: Any) -> str:
    """All that a run's root is told first."""
    model = write_script(folder / "m.py", [repl("FINAL('x')")])
    asked = Asked(model)
    async with Runner.open(folder / "home", kernels=WithPackages()) as runner:
        assert (await runner.run("Q?", model=model, **settings)).status == "answered"
    return asked.roots[0]


async def test_the_root_is_told_what_its_code_can_import(tmp_path: Path) -> None:
    assert "beside the standard library: numpy, regex." in await first_request(tmp_path)


async def test_of_another_environment_it_is_told_what_is_there(tmp_path: Path) -> None:
    assert "beside the standard library: polars." in await first_request(tmp_path, kernel_env=str(tmp_path))


async def test_of_kernels_that_somebody_else_starts_nothing_is_claimed(tmp_path: Path) -> None:
    assert "beside the standard library" not in await first_request(tmp_path, kernel_provisioner="theirs")
