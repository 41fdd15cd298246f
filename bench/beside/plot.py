"""Draws results as SVG, in the benchmarks' own environment: `python plot.py RESULTS.json PICTURE.svg`."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "durable-rlm"
matplotlib.rcParams["font.size"] = 8

from matplotlib import pyplot  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.beside.lines import LINES  # noqa: E402
from bench.beside.results import Results  # noqa: E402

_ACROSS = 3
_COLOURS = {"durable-rlm": "#1b6ca8"}
_OTHERS = ["#c9b79c", "#9c8f7a", "#d8d0c2"]


def draw(results: Results, path: Path) -> None:
    """A small picture for each line of the table: bars for the systems, whiskers from the least to the most."""
    lines = [line for line in LINES if line.unit and results.spread(line.case, line.value, "durable-rlm")]
    systems = results.systems()
    colours = {name: _COLOURS.get(name) or _OTHERS[number % 3] for number, name in enumerate(systems)}
    down = -(-len(lines) // _ACROSS)
    figure, places = pyplot.subplots(down, _ACROSS, figsize=(3.6 * _ACROSS, 1.15 * down), layout="constrained")
    for place in places.flat[len(lines) :]:
        place.axis("off")
    for place, line in zip(places.flat, lines, strict=False):
        place.set_title(f"{line.title.replace('`', '')} ({line.unit})", loc="left", fontsize=8)
        for row, name in enumerate(systems):
            if found := results.spread(line.case, line.value, name):
                middle, least, most = (line.scaled(value) for value in found)
                place.barh(row, middle, color=colours[name], xerr=[[middle - least], [most - middle]], ecolor="#555555")
                place.annotate(line.shown(found[0]), (most, row), (3, 0), textcoords="offset points", va="center")
        place.set_yticks(range(len(systems)), systems)
        place.invert_yaxis()
        place.margins(x=0.18)
        place.set_xlim(left=0)
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(axis="x", labelsize=6)
    figure.suptitle(f"Less is better. {results.about['date']}, {results.about['machine']}", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Results.load(Path(sys.argv[1])), Path(sys.argv[2]))
