"""An answer as the state keeps it."""

import json
from typing import Any

from ...state.blobs.texts import Texts
from ...state.records import AnswerRef


async def store_answer(value: Any, texts: Texts) -> AnswerRef:
    """The reference to a final value, which is stored as it is when it is a text, else as JSON."""
    typed = not isinstance(value, str)
    text = json.dumps(value, ensure_ascii=False) if typed else value
    return {"text": await texts.put(text), "typed": typed}
