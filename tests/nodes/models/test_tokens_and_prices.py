"""Token estimates, costs and the date of the price list, without a network."""

import os
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from genai_prices import data
from genai_prices.types import StartDateConstraint
from hypothesis import given
from hypothesis import strategies as some

from durable_rlm.nodes.models.pricing import cost_usd, price_known, price_list_date, priced_by_list
from durable_rlm.nodes.models.tokens import estimate_messages, estimate_tokens


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("The quick brown fox jumps over the lazy dog.", 10, 16),
        ("今日はとても良い天気ですね", 13, 20),
        ("Сегодня хорошая погода", 5, 14),
        ("1234567890", 4, 10),
        ("-" * 80, 1, 20),
        ("\n\n        ", 1, 3),
        ("👍" * 10, 10, 40),
    ],
)
def test_an_estimate_is_near_the_counts_of_tokenizers(text: str, fewest: int, most: int) -> None:
    assert fewest <= estimate_tokens(text) <= most


@given(some.text(max_size=5000))
def test_any_text_has_an_estimate_that_is_bounded_by_its_length(text: str) -> None:
    assert (text != "") <= estimate_tokens(text) <= 2.2 * len(text) + 1 or text.isspace()


def test_a_long_text_is_estimated_quickly_and_in_proportion_to_its_length() -> None:
    page = "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea.\n" * 50
    book = page * 10_000
    started = time.thread_time()
    estimate = estimate_tokens(book)
    assert time.thread_time() - started < 0.05, "reading all 39 MB would take seconds"
    assert 0.8 < estimate / (10_000 * estimate_tokens(page)) < 1.3


def test_a_text_whose_end_is_denser_than_its_start_is_not_underestimated() -> None:
    assert estimate_tokens("hello there " * 1000 + "漢字" * 6000) > 12_000


def test_each_message_of_a_conversation_adds_to_the_estimate() -> None:
    messages = [{"role": "user", "content": "Hi"}] * 3
    assert estimate_messages(messages) > 3 * estimate_tokens("Hi")


def test_a_listed_model_has_the_cost_of_the_price_list() -> None:
    cost = cost_usd("openai:gpt-4o-mini", 1_000_000, 1_000_000)
    assert cost == pytest.approx(0.75)
    assert price_known("openai:gpt-4o-mini")


def test_cached_input_costs_less() -> None:
    full, cached = cost_usd("openai:gpt-4o-mini", 1000, 0), cost_usd("openai:gpt-4o-mini", 1000, 0, cached_tokens=1000)
    assert full and cached and 0 < cached < full


@pytest.mark.parametrize(
    "name",
    [
        "openai:my-own-finetune",
        "openai:",
        "openai:whisper-1",
        "ollama:llama3",
        "openrouter:meta-llama/llama-3.3-70b-instruct:free",
        "nobody:knows",
        "",
    ],
)
def test_a_model_with_an_unknown_price_has_no_cost_instead_of_0(name: str) -> None:
    assert cost_usd(name, 1000, 1000) is None
    assert not price_known(name)


def test_a_price_given_by_the_user_takes_precedence() -> None:
    assert cost_usd("openai:gpt-4o-mini", 1_000_000, 500_000, price=(2.0, 10.0)) == pytest.approx(7.0)
    assert price_known("openai:my-own-finetune", (0.0, 0.0))
    assert cost_usd("openai:my-own-finetune", 5, 5, price=(0.0, 0.0)) == 0.0


def test_a_scripted_model_is_free() -> None:
    assert cost_usd("scripted:model.py", 1000, 1000) == 0.0
    assert cost_usd("scripted:model.py", 1000, 1000, price=(1.0, 1.0)) == 0.0
    assert price_known("scripted:model.py")


def test_no_thread_updates_prices_in_the_background() -> None:
    cost_usd("openai:gpt-4o-mini", 1, 1)
    assert not [thread for thread in threading.enumerate() if "price" in thread.name.lower()]


# -- the date of the price list

MARCH, MAY, JULY = date(2026, 3, 1), date(2026, 5, 1), date(2026, 7, 1)


@pytest.fixture
def dated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that installs, on a given day, a list with prices from given days on."""

    def install(*days: date, installed: date) -> None:
        prices = [SimpleNamespace(constraint=StartDateConstraint(day)) for day in days]
        models = [SimpleNamespace(prices=[SimpleNamespace(constraint=None), *prices]), SimpleNamespace(prices="plain")]
        monkeypatch.setattr(data, "providers", [SimpleNamespace(models=models)])
        file = tmp_path / "data.py"
        file.touch()
        seconds = datetime(installed.year, installed.month, installed.day, tzinfo=UTC).timestamp()
        os.utime(file, (seconds, seconds))
        monkeypatch.setattr(data, "__file__", str(file))

    return install


def test_the_list_has_the_date_of_its_newest_price(dated: Any) -> None:
    dated(MARCH, MAY, installed=JULY)
    assert price_list_date(JULY) == MAY


def test_prices_announced_for_later_do_not_change_the_date_of_the_list(dated: Any) -> None:
    dated(MARCH, JULY, installed=MAY)
    assert price_list_date(MAY) == MARCH
    assert price_list_date(date(2027, 1, 1)) == MARCH, "not even once they are in force"


def test_a_file_time_before_all_prices_is_not_taken_for_the_day_of_installation(dated: Any) -> None:
    dated(MARCH, MAY, installed=date(1980, 1, 1))
    assert price_list_date(JULY) == MAY


def test_a_list_without_dates_has_an_unknown_date(dated: Any) -> None:
    dated(installed=JULY)
    assert price_list_date(JULY) is None


def test_the_installed_list_has_a_date() -> None:
    today = datetime.now(UTC).date()
    day = price_list_date(today)
    assert day is not None and date(2026, 1, 1) < day <= today


@pytest.mark.parametrize(
    ("name", "price", "looked_up"),
    [
        ("openai:gpt-5-mini", None, True),
        ("openai:gpt-5-mini", (1.0, 2.0), False),
        ("scripted:m.py", None, False),
        ("ollama:llama3", None, False),
        ("", None, False),
    ],
)
def test_only_models_of_listed_providers_without_a_given_price_are_priced_by_the_list(
    name: str, price: Any, looked_up: bool
) -> None:
    assert priced_by_list(name, price) is looked_up
