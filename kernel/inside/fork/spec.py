"""The plan that the fork server receives at its start, as JSON."""

import json
from dataclasses import dataclass

from ..sandbox.confine import Confinement, Tier
from ..sandbox.namespaces import View
from ..sandbox.probes import Canary


@dataclass(frozen=True)
class Plan:
    """The plan of a fork server. The host writes the same fields (`kernel/host/sandbox_tiers.py`)."""

    tier: Tier
    enclosed: bool
    """True when another program has already put this process into its own view."""
    packages: "list[str]"
    """Folders to import from, after the standard library."""
    preload: "list[str]"
    """Modules to import if they are installed."""
    visible: "list[str]"
    inputs: "list[str]"
    hidden: "list[str]"
    uid: "int | None"
    scratch_bytes: int
    canary: "Canary | None"
    """None when the tier need not be tested."""

    @classmethod
    def read(cls, text: str) -> "Plan":
        """Read a plan from JSON. Raises ValueError, TypeError, KeyError."""
        said = json.loads(text)
        canary = said.pop("canary")
        return cls(**said, canary=Canary(**canary) if canary else None)

    @property
    def view(self) -> View:
        """The files that the fork server sees."""
        return View(self.visible, self.inputs, self.hidden)

    @property
    def confinement(self) -> Confinement:
        """The confinement of its kernels."""
        return Confinement(self.tier, self.visible, self.inputs, self.uid, self.scratch_bytes)
