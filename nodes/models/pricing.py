"""Price tokens in US dollars: by the user's own price, else by the list that genai-prices ships. Uses no network.

genai-prices fetches newer prices only inside its `UpdatePrices`, which nothing here starts.
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

Price = tuple[float, float]
"""Dollars per million input tokens and per million output tokens."""

LISTED_AS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google_genai": "google",
    "google_vertexai": "google",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "azure_openai": "azure",
    "mistralai": "mistral",
    "groq": "groq",
    "fireworks": "fireworks",
    "together": "together",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "cohere": "cohere",
    "perplexity": "perplexity",
}
"""Provider names here (LangChain's), and those of the list. Ollama is absent: the cost of one's own machine is not
known."""


def cost_usd(
    name: str,
    input_tokens: int,
    output_tokens: int,
    *,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    price: Price | None = None,
) -> float | None:
    """Return US dollars for these tokens of the model `provider:model`; None when its price is not known.

    `cached_tokens` and `cache_write_tokens` of the input are charged at the list's prices for them, where it has some.
    `price` is the user's, takes precedence, and is the same for all input. A scripted model costs 0.0. A cost is never
    guessed.
    """
    if name.startswith("scripted:"):
        return 0.0
    if price is not None:
        return (input_tokens * price[0] + output_tokens * price[1]) / 1_000_000
    if not _listed(name):
        return None
    # Imported late: the list takes a quarter of a second.
    from genai_prices import Usage, calc_price

    provider, _, model = name.partition(":")
    cached = min(cached_tokens, input_tokens)
    written = min(cache_write_tokens, input_tokens - cached)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached or None,
        cache_write_tokens=written or None,
    )
    try:
        return float(calc_price(usage, model, provider_id=LISTED_AS[provider]).total_price)
    except (LookupError, ValueError):
        return None


def priced_by_list(name: str, price: Price | None = None) -> bool:
    """Return whether the price of the model `provider:model` is looked up in the list."""
    return price is None and name.partition(":")[0] in LISTED_AS


def price_list_date(today: date) -> date | None:
    """Return the day of the newest price in the list, or None when no price has a day.

    The list itself has no date. It also holds prices that are announced for days to come: those after `today`, and
    those after the day on which the list was installed, do not count.
    """
    from genai_prices import data
    from genai_prices.types import StartDateConstraint

    installed = datetime.fromtimestamp(Path(data.__file__).stat().st_mtime, UTC).date()
    prices = [model.prices for provider in data.providers for model in provider.models]
    conditions = [one.constraint for listed in prices if isinstance(listed, list) for one in listed]
    days = [one.start_date for one in conditions if isinstance(one, StartDateConstraint)]
    # Some installers set a day long before that of the release.
    latest = min(today, installed) if any(day <= installed for day in days) else today
    return max((day for day in days if day <= latest), default=None)


def price_known(name: str, price: Price | None = None) -> bool:
    """Return whether `cost_usd` knows the price of the model `provider:model`."""
    return price is not None or name.startswith("scripted:") or _listed(name)


@lru_cache(maxsize=256)
def _listed(name: str) -> bool:
    """Return whether the list has both an input and an output price: entries without them would count as free."""
    from genai_prices import Usage, calc_price

    provider, _, model = name.partition(":")
    if provider not in LISTED_AS or not model:
        return False
    try:
        found = calc_price(Usage(input_tokens=1, output_tokens=1), model, provider_id=LISTED_AS[provider])
    except (LookupError, ValueError):
        return False
    return found.model_price.input_mtok is not None and found.model_price.output_mtok is not None
