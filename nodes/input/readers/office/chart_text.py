"""The text of charts in Office files: titles, and every series with its categories and values."""

from collections.abc import Iterator
from itertools import zip_longest

from .zip_package import Element, local

_MOST_POINTS = 20_000
"""Points of one series that are shown; a chart's values come from a sheet that has them all."""


def chart_lines(root: Element) -> Iterator[str]:
    """Yield a line with the chart's texts, then one for each series: `Sales: Q1 = 4.3; Q2 = 2.5`."""
    texts = [line for paragraph in root.iter("{*}p") if (line := _paragraph(paragraph))]
    yield "[chart: " + " · ".join(texts) + "]" if texts else "[chart]"
    if any(local(one) == "ser" for one in root.iter("{*}ser")):
        for series in root.iter("{*}ser"):
            yield from _series(series)
    else:
        # A chart of 2016 or later (`cx`): texts and numbers stand in its data.
        for one in root.iter("{*}data"):
            points = [" ".join((point.text or "").split()) for point in one.iter("{*}pt")]
            if points:
                yield "; ".join(points[:_MOST_POINTS])
        for one in root.iter("{*}txData"):
            for value in one.iter("{*}v"):
                if value.text:
                    yield " ".join(value.text.split())


def _paragraph(paragraph: Element) -> str:
    return " ".join("".join(one.text or "" for one in paragraph.iter("{*}t")).split())


def _series(series: Element) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    labels: list[str] = []
    for one in series:
        name = local(one)
        if name in ("tx", "cat", "val", "xVal", "yVal", "bubbleSize"):
            found[name] = _points(one)
        elif name in ("extLst", "dLbls"):
            labels += [label for cache in one.iter("{*}dlblRangeCache") for label in _points(cache)]
    names = " ".join(found.get("tx", []))
    categories = found.get("cat", found.get("xVal", []))
    values = found.get("val", found.get("yVal", []))
    pairs = zip_longest(categories, values, found.get("bubbleSize", []), labels, fillvalue="")
    shown = [" = ".join(filter(None, pair)) for pair in list(pairs)[:_MOST_POINTS]]
    line = ": ".join(filter(None, [names, "; ".join(filter(None, shown))]))
    if line:
        yield line


def _points(element: Element) -> list[str]:
    """Return the stored texts or numbers of a series; several levels of categories as `2026 / Q1`."""
    levels = list(element.iter("{*}lvl"))
    if len(levels) < 2:
        return [_value(one) for one in element.iter("{*}v")]
    rows: dict[str, list[str]] = {}
    for level in levels:
        for point in level.iter("{*}pt"):
            rows.setdefault(point.get("idx", ""), []).insert(0, " ".join(_value(one) for one in point.iter("{*}v")))
    return [" / ".join(parts) for parts in rows.values()]


def _value(one: Element) -> str:
    return " ".join((one.text or "").split())
