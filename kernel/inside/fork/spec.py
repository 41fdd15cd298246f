"""What the fork server is told when it is started, as JSON."""

import json
from dataclasses import dataclass

from ..sandbox.confine import Confinement, Tier
from ..sandbox.namespaces import View
from ..sandbox.probes import Canary


@dataclass(frozen=True)
class Plan:
    """How to serve. The host's side writes the same fields (`kernel/host/plan.py`)."""

    tier: Tier
    enclosed: bool
    """Whether another program has put this process into its own view already."""
    packages: "list[str]"
    """Folders to import from, after the standard library."""
    preload: "list[str]"
    """Modules to import where they are installed."""
    visible: "list[str]"
    inputs: "list[str]"
    hidden: "list[str]"
    uid: "int | None"
    scratch_bytes: int
    canary: "Canary | None"
    """None: nothing to prove."""

    @classmethod
    def read(cls, text: str) -> "Plan":
        """Raises ValueError, TypeError, KeyError."""
        said = json.loads(text)
        canary = said.pop("canary")
        return cls(**said, canary=Canary(**canary) if canary else None)

    @property
    def view(self) -> View:
        """What the fork server is to see."""
        return View(self.visible, self.inputs, self.hidden)

    @property
    def confinement(self) -> Confinement:
        """How its kernels are confined."""
        return Confinement(self.tier, self.visible, self.inputs, self.uid, self.scratch_bytes)
