"""Store an answer in the form that the state keeps."""

import json
from typing import Any

from ...state.blobs.texts import Texts
from ...state.records import AnswerRef


async def store_answer(value: Any, texts: Texts) -> AnswerRef:
    """Store a final value, a text as it is and any other value as JSON. Return the reference to it."""
    typed = not isinstance(value, str)
    text = json.dumps(value, ensure_ascii=False) if typed else value
    return {"text": await texts.put(text), "typed": typed}
