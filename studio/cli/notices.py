"""Notices before a run: what is traced, and how old the price list is."""

import os
from collections.abc import Mapping
from datetime import date
from typing import Any

from ...graph.tracing import asked_for, switch_set
from ..terminal.console import say
from ..terminal.escape import safe_line


def chosen(flag: bool | None) -> bool:
    """Return whether to trace. Print a note when a LangSmith variable asks for traces and the user has not.

    Raises UsageError for an invalid `RLM_TRACING`.
    """
    if flag or asked_for(os.environ):
        return True
    if name := switch_set(os.environ):
        say(
            f"{name} is set, but nothing is traced. With --tracing, questions, excerpts of the input, code and answers "
            "are sent to LangSmith."
        )
    return False


OLD_DAYS = 90
UPGRADE = "pip install --upgrade genai-prices"


def list_day(today: date) -> tuple[date, bool] | None:
    """Return the date of the price list and whether it is older than `OLD_DAYS`; None when it is not known."""
    from ...nodes.models.pricing import price_list_date

    day = price_list_date(today)
    return None if day is None else (day, (today - day).days > OLD_DAYS)


def price_warnings(settings: Mapping[str, Any], max_cost: float | None, today: date) -> list[str]:
    """Return a warning, as a list, for a run whose `--max-cost` counts by an old price list; else an empty list."""
    from ...nodes.models.pricing import priced_by_list

    price = settings.get("price")
    prices = {settings.get("model"): price, settings.get("sub_model"): settings.get("sub_price") or price}
    if max_cost is None or not any(priced_by_list(str(name or ""), known) for name, known in prices.items()):
        return []
    if (found := list_day(today)) is None or not found[1]:
        return []
    return [
        f"Warning: --max-cost ${max_cost:g} counts by a price list of {found[0]}, {(today - found[0]).days} days old. "
        f"Newer prices: {safe_line(UPGRADE)}, or give yours with --price IN,OUT."
    ]
