"""A kernel's message that is larger than any may be is refused before it is read, and says so in few words."""

import gc
import json
import time

import pytest

from durable_rlm.kernel import messages, posted_calls
from durable_rlm.kernel.untrusted_json import BadMessage

SNAPSHOT = '"snapshot": {"groups": [], "gone": []}'


@pytest.mark.parametrize(
    ("parse", "most"),
    [
        (messages.parse_ended, messages.MAX_RESULT),
        (messages.parse_restored, messages.MAX_NAMES_BYTES),
        (messages.parse_compared, messages.MAX_NAMES_BYTES),
        (posted_calls.parse_calls, posted_calls.MAX_CALLS),
    ],
    ids=["ended", "restored", "compared", "calls"],
)
def test_a_message_of_great_size_costs_nothing(parse: "object", most: int) -> None:
    said = b'"' + b'\\"' * (most // 2)
    begun = time.process_time()
    with pytest.raises(BadMessage, match="at most"):
        parse(said)  # type: ignore[operator]
    assert time.process_time() - begun < 0.1


def test_an_error_does_not_repeat_what_was_sent() -> None:
    output = "secret" * (6 << 20)
    with pytest.raises(BadMessage) as refused:
        messages.parse_ended(f'{{"output": "{output}", {SNAPSHOT}}}')
    assert "secret" not in str(refused.value)


def test_no_garbage_is_collected_while_a_large_message_is_read() -> None:
    collections: list[str] = []
    gc.collect()
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    try:
        value = "[]," * 500_000 + "[]"
        result = messages.parse_ended(f'{{"output": "", "final": {{"value": [{value}]}}, {SNAPSHOT}}}')
    finally:
        gc.callbacks.pop()
    assert result.final and len(result.final.value) == 500_001
    assert collections.count("start") < 5 and gc.isenabled()


def test_the_largest_output_of_an_unmodified_kernel_is_taken() -> None:
    output = "\U0001f600" * (16 << 20)
    said = json.dumps({"output": output}, ensure_ascii=False)[:-1] + f", {SNAPSHOT}}}"
    assert messages.parse_ended(said.encode()).output == output
