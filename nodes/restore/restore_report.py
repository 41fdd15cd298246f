"""What the model is told of a restore: nothing when everything is as it was."""

from ...state.run_state import RestoreRecord

_NAMED = 10


def no_restore() -> RestoreRecord:
    """The report of a kernel that was not restored, or of one that brought nothing back."""
    return RestoreRecord(restored=[], rebuilt=[], lost={}, cells=0, notes=[], diverged=[])


def told(report: RestoreRecord) -> list[str]:
    """Sentences for the model, and for the trace: what is not as it was."""
    lines: list[str] = []
    lost, rebuilt = report["lost"], report["rebuilt"]
    if lost:
        shown = [f"{name} ({why})" for name, why in sorted(lost.items())]
        lines.append(f"The REPL was restored. Not as they were: {_listed(shown)}. Make them again if you need them.")
    if rebuilt:
        lines.append(
            f"The REPL was restored; {_listed(rebuilt)} could not be saved and came back by running "
            f"{report['cells']} earlier cells again."
        )
    lines += [f"The REPL was restored: {note}." for note in report["notes"]]
    for found in report["diverged"]:
        lines.append(
            f"The cell of turn {found['turn']} was run again and asked for other sub-calls than before: "
            f"{len(found['missing'])} recorded answers were not asked for, {len(found['new'])} calls were new."
        )
    return lines


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
