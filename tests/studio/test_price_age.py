"""The age of the price list: reported where a limit or the doctor depends on it."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from durable_rlm.graph.run import Run
from durable_rlm.nodes.models import pricing
from durable_rlm.studio.cli.new_run import start
from durable_rlm.studio.cli.notices import price_warnings
from durable_rlm.studio.doctor import software
from durable_rlm.studio.invocation import Invocation
from tests.studio.conftest import Fake

DAY = date(2026, 3, 1)
LISTED = "openai:gpt-5-mini"


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price list of 1 March."""
    monkeypatch.setattr(pricing, "price_list_date", lambda today: DAY)  # pyright: ignore[reportUnknownLambdaType]


@pytest.fixture
def said(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a run's stderr when it starts so many days after the list's date."""

    def run(days: int, **settings: Any) -> str:
        fake(Run("t", "answered", answer="A"))
        today = DAY + timedelta(days)
        with pytest.raises(typer.Exit):
            start(Invocation(tmp_path), "Q?", None, {"model": LISTED, **settings}, today=lambda: today)
        return capsys.readouterr().err

    return run


def test_a_run_with_a_cost_limit_warns_of_old_prices(said: Callable[..., str]) -> None:
    err = said(91, max_cost=2)
    assert err.startswith("Warning: --max-cost $2 counts by a price list of 2026-03-01, 91 days old.")
    assert "pip install --upgrade genai-prices" in err and err.count("Warning") == 1


@pytest.mark.parametrize(
    ("days", "settings"),
    [
        (90, {"max_cost": 2}),
        (91, {}),
        (91, {"max_cost": 2, "price": (1.0, 2.0)}),
        (91, {"max_cost": 2, "model": "scripted:m.py"}),
    ],
    ids=["a recent list", "no limit", "an own price", "a free model"],
)
def test_no_warning_is_given_where_old_prices_do_not_matter(
    said: Callable[..., str], days: int, settings: dict[str, Any]
) -> None:
    assert "Warning" not in said(days, **settings)


def test_the_price_of_a_sub_model_counts_too() -> None:
    settings = {"model": "scripted:m.py", "sub_model": LISTED}
    assert price_warnings(settings, 1.0, DAY + timedelta(100))
    assert price_warnings(settings, 1.0, DAY + timedelta(10)) == []


def test_the_doctor_gives_the_date_of_the_price_list() -> None:
    fresh, old = (software.prices(DAY + timedelta(days)) for days in (90, 91))
    assert fresh.level == "ok" and "as of 2026-03-01" in fresh.value
    assert old.level == "warning" and "91 days old" in old.value and "--upgrade genai-prices" in old.hint
