"""Questions of a batch (`Runner.ask_all`), and the refusal of those that cannot be asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..nodes.runtime.events import Event
from ..state.errors import UsageError

OnQuestionEvent = Callable[[str, Event], None]
"""A function that is called with a question's id, or an empty text for what concerns all, and with each event."""


def ignore_question_event(question: str, event: Event) -> None:
    """Do nothing with an event."""
    del question, event


@dataclass(frozen=True)
class Question:
    """One question of a batch (`Runner.ask_all`)."""

    id: str
    """The name by which it is reported; its thread has this name after the batch's prefix."""
    question: str
    """The question."""
    paths: tuple[str, ...] | None = None
    """Paths of an input of its own; None: the input of the batch."""
    schema: Mapping[str, Any] | None = None
    """A JSON Schema for its answer; None: that of the batch, if there is one."""


class QuestionsRefused(UsageError):
    """Some questions of a batch cannot be asked. Nothing was saved, and nothing was paid."""

    def __init__(self, problems: Sequence[tuple[str, str]], number: int) -> None:
        """`problems`: the id of a question and what is wrong with it. `number`: how many questions there are."""
        listed = "\n".join(f"{name}: {words}" for name, words in problems)
        refused = len({name for name, _ in problems})
        super().__init__(
            f"{refused} of {number} questions cannot be asked, so none was:\n{listed}",
            hint="Correct them, and ask again: those that are answered cost nothing. Where a thread exists, choose "
            "another --thread, or the question and the input that it was begun with.",
        )
        self.problems = list(problems)
        """The id of each question that cannot be asked, with what is wrong and what to do."""
