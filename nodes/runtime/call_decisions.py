"""Read a reviewer's decisions about the sub-calls of the current cell from the state."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from ...state.approval_records import ChildWait, Decision, Verdict, VerdictRef
from ...state.blobs.texts import Texts

NO_WORDS = "A reviewer did not let these calls be made."


@dataclass
class ChildDecision:
    """Decisions that are handed down to a sub-RLM, for one of its interrupts and no other."""

    wait: ChildWait
    decisions: list[Decision]


@dataclass
class CallDecisions:
    """Decisions by call key. A call that is in none of the fields is undecided."""

    approved: set[str] = field(default_factory=set[str])
    edited: dict[str, str] = field(default_factory=dict[str, str])
    """Prompts that are sent instead of the code's."""
    rejected: dict[str, str] = field(default_factory=dict[str, str])
    """Messages of the errors that the code gets."""
    answered: dict[str, str] = field(default_factory=dict[str, str])
    """Answers that the reviewer gave."""
    to_child: dict[str, ChildDecision] = field(default_factory=dict[str, ChildDecision])

    def add(self, verdict: Verdict) -> None:
        """Add a verdict; a later one overrides an earlier one."""
        if verdict["kind"] == "child":
            for wait in verdict["children"]:
                self.to_child[wait["key"]] = ChildDecision(wait, verdict["decisions"])
            return
        if verdict["kind"] != "calls":
            return
        keys, [decision] = verdict["keys"], verdict["decisions"]
        self.approved.update(verdict["passed"])
        match decision["type"]:
            case "reject":
                self.rejected.update(dict.fromkeys(keys, decision.get("message") or NO_WORDS))
            case "respond":
                self.answered.update(dict.fromkeys(keys, decision.get("message", "")))
            case "edit":
                self.approved.update(keys)
                changed = decision.get("edited_action", {}).get("args", {}).get("calls", [])
                self.edited.update({one["key"]: one["prompt"] for one in changed})
            case "approve":
                self.approved.update(keys)


async def call_decisions_of(references: Iterable[VerdictRef], texts: Texts) -> CallDecisions:
    """Return the decisions made so far. Raises StoredDataDamaged."""
    call_decisions = CallDecisions()
    for reference in references:
        call_decisions.add(cast(Verdict, json.loads(await texts.get(reference["decided"]))))
    return call_decisions
