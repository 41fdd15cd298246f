"""Output is counted while it arrives, and reported twice a second at most."""

from itertools import pairwise

from durable_rlm.nodes.models.arriving import ArrivingOutput
from durable_rlm.nodes.models.tokens import estimate_tokens
from tests.clock import Clock


def test_output_is_reported_twice_a_second_with_its_speed() -> None:
    clock, reports = Clock(100.0), list[tuple[float, int, int]]()
    output = ArrivingOutput(lambda tokens, speed: reports.append((clock.now, tokens, speed)), clock)
    for _ in range(200):
        output.add("one two ")
        clock.now += 0.125
    assert len(reports) == 49 and reports[0][0] == 100.5
    assert all(later[0] - earlier[0] >= 0.5 for earlier, later in pairwise(reports))
    assert {speed for _, _, speed in reports[5:]} <= {16, 17, 18}, "two tokens every eighth of a second"


def test_the_count_is_an_estimate_of_all_that_has_arrived() -> None:
    output = ArrivingOutput(None, Clock(100.0))
    assert output.count() == 0
    text = "The quick brown fox jumps over the lazy dog. " * 20
    for start in range(0, len(text), 10):
        output.add(text[start : start + 10])
    assert output.count() == output.count() == estimate_tokens(text)
    output.add(text)
    assert output.count() == 2 * estimate_tokens(text)
