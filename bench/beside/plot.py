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
_MUCH = 10
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


def draw_growth(results: Results, path: Path) -> None:
    """Time and memory over what grows."""
    grown: dict[str, list[tuple[int, str]]] = {}
    for case in dict.fromkeys(run.case for run in results.runs):
        size, _, of = case.partition(" ")
        grown.setdefault(of, []).append((int(size), case))
    figure, places = pyplot.subplots(2, len(grown), figsize=(3 * len(grown), 4.4), layout="constrained", sharex="col")
    for column, (of, sizes) in enumerate(grown.items()):
        times = {"MB of context": "first root call", "turns": "last ten turns"}.get(of, "cell")
        for row, (value, unit) in enumerate(((times, "s"), ("MB", "MB"))):
            place = places[row][column]
            points = [(size, results.spread(case, value, "durable-rlm")) for size, case in sizes]
            place.plot([size for size, _ in points], [found[0] for _, found in points if found], marker="o", ms=3)
            place.set(xscale="log", title=f"{value if row == 0 else 'peak memory'} ({unit})")
            middles = [found[0] for _, found in points if found]
            # Where it hardly grows, a logarithmic scale would make much of little.
            place.set(yscale="log") if max(middles) > _MUCH * min(middles) else place.set_ylim(bottom=0)
            place.grid(visible=True, which="both", alpha=0.2)
        places[1][column].set_xlabel(of)
    figure.suptitle(f"{results.about['date']}, {results.about['machine']}", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    loaded = Results.load(Path(sys.argv[1]))
    beside = any(run.system != "durable-rlm" for run in loaded.runs)
    (draw if beside else draw_growth)(loaded, Path(sys.argv[2]))
