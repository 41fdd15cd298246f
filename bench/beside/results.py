"""What was measured, as it is kept (`docs/benchmarks/*.json`): every run of every case, not only their medians."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One run of a case by a system."""

    case: str
    system: str
    round: int
    spin: float
    """The milliseconds of `machine.spin_ms` just before."""
    values: dict[str, float]


@dataclass
class Results:
    """All of them."""

    about: dict[str, str]
    fsync: float
    """Milliseconds."""
    runs: list[Measured] = field(default_factory=list[Measured])

    def systems(self) -> list[str]:
        """By name, in the order of measuring."""
        return list(dict.fromkeys(run.system for run in self.runs))

    def spread(self, case: str, value: str, system: str) -> tuple[float, float, float] | None:
        """Median, least and most; None where it was not measured."""
        mine = [run.values for run in self.runs if run.case == case and run.system == system]
        found = [values[value] for values in mine if value in values]
        return (statistics.median(found), min(found), max(found)) if found else None

    def save(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """What `save` wrote."""
        saved = json.loads(path.read_text())
        return cls(saved["about"], saved["fsync"], [Measured(**run) for run in saved["runs"]])
