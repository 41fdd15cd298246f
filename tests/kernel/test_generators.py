"""Random numbers begin alike in every kernel, so that a cell that runs again draws what it drew before."""

import subprocess
import sys

DRAW = """
import numpy
from durable_rlm.kernel.inside.snapshot.process_state import imported_alike
imported_alike(frozenset({"numpy", "np"}))
import numpy as np
print(np.random.rand())
"""


def test_numpys_generator_begins_alike_though_numpy_was_imported_before_the_code_asked_for_it() -> None:
    drawn = {subprocess.run([sys.executable, "-c", DRAW], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(drawn) == 1
