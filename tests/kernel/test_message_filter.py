"""The messages that a kernel may send, and when: any other is ignored, and too many of those end the kernel."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.kernel.host.message_filter import JUNK, LATE, KernelMessage, MessageFilter, ProtocolViolation
from durable_rlm.kernel.inside.protocol import Message, reply_to

DELIMITER = b"<IDS|MSG>"


def sign(parts: Sequence[bytes]) -> bytes:
    return hmac.new(b"key", b"".join(parts), hashlib.sha256).hexdigest().encode()


def message(kind: Any, content: Any = None, *beside: bytes, header: bytes | None = None) -> list[bytes]:
    signed = [header or json.dumps({"msg_type": kind}).encode(), b"{}", b"{}", json.dumps(content or {}).encode()]
    return [DELIMITER, sign(signed), *signed, *beside]


@pytest.fixture
def message_filter() -> MessageFilter:
    return MessageFilter(sign)


def test_each_request_to_a_kernel_gets_one_answer(message_filter: MessageFilter) -> None:
    for kind, event in ((Message.CELL, "ended"), (Message.RESTORE, "restored"), (Message.COMPARE, "compared")):
        reply = message(reply_to(kind), {}, b"said")
        assert message_filter.accept(reply) is None
        message_filter.expect_reply(kind)
        assert message_filter.accept(reply) == KernelMessage(event, attached=b"said")
        assert message_filter.accept(reply) is None


def test_the_setup_gets_one_answer(message_filter: MessageFilter) -> None:
    message_filter.expect_reply(Message.SETUP)
    assert message_filter.accept(message(Message.SETUP_REPLY, {"status": "ok"})) == KernelMessage(
        "setup", {"status": "ok"}
    )
    assert message_filter.accept(message(Message.SETUP_REPLY, {"status": "ok"})) is None


def test_variables_are_accepted_only_while_a_cell_runs(message_filter: MessageFilter) -> None:
    sent = message(Message.CHUNKS, {"sizes": [1, 2]}, b"abc")
    assert message_filter.accept(sent) is None
    message_filter.expect_reply(Message.CELL)
    assert message_filter.accept(sent) == KernelMessage("chunks", {"sizes": [1, 2]}, b"abc")


JUNK_MESSAGES = [
    [],
    [b""],
    [DELIMITER],
    [DELIMITER] * 6,
    [b"x", *message(Message.CALLS, {}, b"[]")],
    message(Message.CALLS),
    message(Message.CALLS, {}, b"[]", b"[]"),
    message(Message.CALLS, {}, b"1", b"2", b"3"),
    message(Message.CALLS, "x" * (2 << 20), b"[]"),
    message("execute_reply"),
    message(None),
    message([Message.CALLS], {}, b""),
    message({Message.CALLS: 1}, {}, b""),
    message(1e999, {}, b""),
    message("", header=b"["),
    message("", header=b"[" * 60_000),
    message("", header=b'{"msg_type":' * 5_000),
    message("", header=b"\xff\xfe"),
    message("", header=b'{"msg_type": ' + b"9" * 10_000 + b"}"),
    message("", header=b"[]"),
    message("", header=b"x" * (1 << 20)),
    message(Message.CHUNKS, {"sizes": "12"}, b"abc"),
    message(Message.CHUNKS, {"sizes": [True]}, b"abc"),
    message(Message.CHUNKS, {"sizes": [1.0]}, b"abc"),
    message(Message.CHUNKS, {"sizes": [[1]]}, b"abc"),
    message(Message.CHUNKS, {}, b"abc"),
    message(Message.CHUNKS, ["sizes"], b"abc"),
    [DELIMITER, b"forged", *message(Message.CALLS, {}, b"[]")[2:]],
    [DELIMITER, b"x" * (1 << 20), *message(Message.CALLS, {}, b"[]")[2:]],
]


@pytest.mark.parametrize("junk", JUNK_MESSAGES, ids=range(len(JUNK_MESSAGES)))
def test_invalid_messages_are_ignored_up_to_a_limit(message_filter: MessageFilter, junk: list[bytes]) -> None:
    message_filter.expect_reply(Message.CELL)
    for _ in range(JUNK):
        assert message_filter.accept(junk) is None
    with pytest.raises(ProtocolViolation, match="more than 16 messages that are none"):
        message_filter.accept(junk)


def test_calls_after_the_end_of_their_cell_are_limited(message_filter: MessageFilter) -> None:
    message_filter.expect_reply(Message.CELL)
    message_filter.accept(message(Message.CELL_REPLY, {}, b""))
    late = message(Message.CALLS, {}, b"x" * (1 << 20))
    with pytest.raises(ProtocolViolation, match="while no cell was running"):
        for _ in range(2 * LATE >> 20):
            message_filter.accept(late)
    # One message of any size may be among them, and the next cell starts a new count.
    message_filter.expect_reply(Message.CELL)
    message_filter.accept(message(Message.CELL_REPLY, {}, b""))
    assert message_filter.accept(message(Message.CALLS, {}, b"x" * 2 * LATE))


KINDS = [
    Message.CALLS,
    Message.CELL_REPLY,
    Message.SETUP_REPLY,
    Message.CHUNKS,
    Message.RESTORE_REPLY,
    Message.COMPARE_REPLY,
    "x",
]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    PLAIN | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["msg_type", "sizes", "x"]), inner),
    max_leaves=8,
)
JSON = ANYTHING.map(lambda value: json.dumps(value).encode())
SIGNED = st.tuples(
    st.sampled_from(KINDS).map(lambda kind: json.dumps({"msg_type": kind}).encode()) | JSON | st.binary(max_size=20),
    *[JSON | st.binary(max_size=20)] * 3,
).map(lambda parts: [DELIMITER, sign(parts), *parts])
MESSAGES = st.lists(st.binary(max_size=20) | st.just(DELIMITER), max_size=9) | st.tuples(
    SIGNED, st.lists(st.binary(max_size=20), max_size=3)
).map(lambda parts: [*parts[0], *parts[1]])


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(MESSAGES | st.sampled_from([Message.CELL, Message.SETUP, Message.RESTORE]), max_size=40))
def test_any_message_raises_only_a_protocol_violation_and_answers_only_requests(sent: list[Any]) -> None:
    message_filter = MessageFilter(sign)
    asked = heard = junk = 0
    for one in sent:
        if isinstance(one, str):
            message_filter.expect_reply(one)
            asked += 1
            continue
        try:
            said = message_filter.accept(one)
        except ProtocolViolation:
            assert junk == JUNK
            return
        junk += said is None
        heard += said is not None and said.event not in ("calls", "chunks")
        if said is not None and said.event == "chunks":
            assert all(type(size) is int for size in said.content["sizes"])
    assert heard <= asked and junk <= JUNK


def test_parts_of_an_answer_are_accepted_only_while_a_cell_runs(message_filter: MessageFilter) -> None:
    part = message(Message.ANSWER_PART, {}, b"[[1]]")
    assert message_filter.accept(part) is None
    message_filter.expect_reply(Message.CELL)
    assert message_filter.accept(part) == KernelMessage("part", attached=b"[[1]]")
    assert message_filter.accept(message(Message.ANSWER_PART)) is None
