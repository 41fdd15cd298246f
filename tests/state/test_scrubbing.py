"""Secrets are replaced by marks of the same length, in every form, however their bytes arrive."""

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.models.redaction import redact
from durable_rlm.state.maintenance.scrubbing import Scrubber

SECRET = 'pa"ss/w\u00f6rd-0123456789'


@given(st.text(max_size=40), st.text(max_size=40), st.lists(st.integers(0, 120), max_size=6))
def test_a_secret_is_found_wherever_the_bytes_are_cut(before: str, after: str, cuts: list[int]) -> None:
    data = f"{before}{SECRET}{after}".encode()
    stream = Scrubber([SECRET]).stream("files")
    places = [0, *sorted(cuts), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    done = b"".join(piece for part in parts for piece in stream.add(part)) + b"".join(stream.end())
    assert done == Scrubber([SECRET]).scrub(data, "files")
    assert SECRET.encode() not in done and len(done) == len(data)
    assert len(done.decode()) == len(data.decode())


@pytest.mark.parametrize(
    "form",
    [
        SECRET.encode(),
        SECRET.encode("utf-32-le"),
        json.dumps({"a": SECRET}).encode(),
        json.dumps({"a": SECRET}, ensure_ascii=False).encode(),
        base64.b64encode(SECRET.encode()),
        b"https://host/v1?key=pa%22ss%2Fw%C3%B6rd-0123456789",
    ],
)
def test_each_form_in_which_a_secret_is_stored_is_replaced(form: bytes) -> None:
    scrubber = Scrubber([SECRET])
    done = scrubber.scrub(form, "texts")
    assert done != form and len(done) == len(form) and scrubber.places == {"texts": 1}


def test_a_secret_within_another_one_leaves_nothing_of_either() -> None:
    done = Scrubber(["abcdef-ghijkl", "cdef-ghi"]).scrub(b"xx abcdef-ghijkl cdef-ghi", "texts")
    assert b"def" not in done and b"ghi" not in done


@pytest.mark.parametrize("length", range(4, len("canary-secret-0123")))
def test_the_beginning_of_a_secret_at_the_end_of_a_cut_text_is_hidden(length: int) -> None:
    secret = "canary-secret-0123"
    assert redact(f"your key {secret[:length]}…", [secret]) == "your key [hidden]…"
    assert redact(f"your key {secret[:length]}", [secret]) == "your key [hidden]"
    assert redact("your key can be anything", [secret]) == "your key can be anything"
