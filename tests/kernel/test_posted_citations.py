"""Citations that a kernel posts with a final value are hostile, like all that it sends."""

import json
from typing import Any

import pytest

from durable_rlm.kernel import posted_citations
from durable_rlm.kernel.messages import parse_ended
from durable_rlm.kernel.results import PostedCitation
from durable_rlm.kernel.untrusted_json import BadMessage


def citation(number: int = 1, **other: Any) -> dict[str, Any]:
    return {"id": number, "document": "a.txt", "start": 3, "end": 8, "quote": "words", "how": "exact", **other}


def ended(citations: Any) -> str:
    final = {"value": "An answer [^1]", "citations": citations}
    return json.dumps({"output": "", "final": final, "snapshot": {}})


def parsed(citations: Any) -> tuple[PostedCitation, ...]:
    final = parse_ended(ended(citations)).final
    assert final is not None and final.value == "An answer [^1]"
    return final.citations


def test_citations_come_with_the_final_value_in_the_order_of_their_numbers() -> None:
    assert parsed([citation(2, how="folded"), citation()]) == (
        PostedCitation(1, "a.txt", 3, 8, "words", "exact"),
        PostedCitation(2, "a.txt", 3, 8, "words", "folded"),
    )
    assert parsed(None) == parsed([]) == ()


@pytest.mark.parametrize(
    "citations",
    [
        "text",
        {},
        [None],
        [{}],
        [citation(0)],
        [citation(1.0)],  # type: ignore[arg-type]
        [citation(document=None)],
        [citation(document="n" * 10_001)],
        [citation(start=-1)],
        [citation(start=9)],
        [citation(end=1 << 60)],
        [citation(quote="")],
        [citation(quote="other words")],
        [citation(how="nearest")],
        [citation(other=1)],
        [citation(**{f"k{at}": 1 for at in range(1000)})],
        [citation(), citation()],
        [citation(end=3 + 100_001, quote="x" * 100_001)],
        [citation(number) for number in range(1, 10_002)],
    ],
)
def test_citations_of_another_form_are_refused(citations: Any) -> None:
    with pytest.raises(BadMessage, match="citation"):
        parse_ended(ended(citations))


def test_citations_with_too_much_text_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_citations, "MAX_CITED", 20)
    assert len(parsed([citation(), citation(2)])) == 2
    with pytest.raises(BadMessage, match="more text"):
        parsed([citation(), citation(2), citation(3)])
