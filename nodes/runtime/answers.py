"""Store answers in the form that the state keeps, and load them."""

import json
from typing import Any

from ...state.blobs.texts import Texts
from ...state.records import AnswerRef


async def store_answer(value: Any, texts: Texts) -> AnswerRef:
    """Store a final value, a text as it is and any other value as JSON. Return the reference to it."""
    typed = not isinstance(value, str)
    text = json.dumps(value, ensure_ascii=False) if typed else value
    return {"text": await texts.put(text), "typed": typed}


async def load_answer(answer: AnswerRef, texts: Texts) -> Any:
    """Return a stored value. Raises StoredDataDamaged."""
    return _value(answer, await texts.get(answer["text"]))


async def answer_or_damage(answer: AnswerRef, texts: Texts) -> Any:
    """Return a stored value, or a text that says in brackets how it is damaged."""
    text = await texts.get_or_damage(answer["text"])
    try:
        return _value(answer, text)
    except ValueError:
        # What says that it is damaged is not JSON.
        return text


def _value(answer: AnswerRef, text: str) -> Any:
    return json.loads(text) if answer["typed"] else text
