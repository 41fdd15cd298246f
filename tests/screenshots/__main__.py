"""Make the screenshots of the documentation anew, in docs/images. Takes two minutes."""

import sys
import tempfile
from pathlib import Path

from .pictures import take
from .sample_home import make_home

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    """Make a sample home, and take pictures of its page."""
    with tempfile.TemporaryDirectory() as folder:
        take(make_home(Path(folder)), IMAGES)
    sys.stdout.write(f"Pictures are in {IMAGES}.\n")


if __name__ == "__main__":
    main()
