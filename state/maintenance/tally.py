"""Counting stored records and their bytes."""

from dataclasses import dataclass


@dataclass
class Tally:
    """So many records, with so many bytes in them."""

    records: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one record of `size` bytes."""
        self.records += 1
        self.bytes += size

    def to_json(self) -> dict[str, int]:
        """As `--json` prints it."""
        return {"records": self.records, "bytes": self.bytes}
