"""Random numbers: every kernel begins with the same state, so that a replayed cell draws the same numbers."""

import subprocess
import sys

DRAW = """
import numpy
from durable_rlm.kernel.inside.snapshot.process_state import imported_alike
imported_alike(frozenset({"numpy", "np"}))
import numpy as np
print(np.random.rand())
"""


def test_numpys_generator_starts_equal_even_if_numpy_was_imported_before_the_code_did() -> None:
    drawn = {subprocess.run([sys.executable, "-c", DRAW], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(drawn) == 1
