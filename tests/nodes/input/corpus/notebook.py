"""Notebooks with sentences in every kind of cell and output."""

import json
from random import Random
from typing import Any

from . import Planted, Sample, sentence


def notebook(*cells: dict[str, Any], **metadata: object) -> bytes:
    """Return a notebook of version 4."""
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}).encode()


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    """Return a cell of code."""
    return {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": source, "outputs": list(outputs)}


def samples(random: Random) -> list[Sample]:
    """Make a notebook of version 4 and one of version 3."""
    planted: list[Planted] = []

    def plant(part: str, loss: str = "") -> str:
        words = sentence(random, part)
        planted.append(Planted(words, part, loss))
        return words

    def shown(**forms: str) -> dict[str, Any]:
        return {"output_type": "display_data", "data": {name.replace("_", "/"): text for name, text in forms.items()}}

    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": [f"# {plant('heading')}\n", plant("markdown")]},
        {"cell_type": "raw", "source": plant("raw")},
        {"cell_type": "new", "source": plant("unknown cell")},
        code(f"# {plant('source')}", {"output_type": "stream", "name": "stdout", "text": [plant("stream")]}),
        code("x", {"output_type": "stream", "name": "stderr", "text": plant("stderr")}),
        code("x", shown(text_plain=plant("plain"), image_png="iVBORw0KGgo=")),
        code("x", shown(text_html=f"<table><tr><td>{plant('table')}</table>", text_plain=plant("plain of a table"))),
        code("x", shown(text_markdown=plant("shown markdown")), shown(text_latex=plant("formula"))),
        code("x", {"output_type": "error", "ename": "E", "evalue": plant("error"), "traceback": [plant("traceback")]}),
        code("x", {"output_type": "execute_result", "data": {"application/json": {"a": plant("json")}}}),
        code(
            "x",
            {"output_type": "display_data", "data": {"application/x.plot+json": {"a": plant("plot", "interactive")}}},
        ),
    ]
    random.shuffle(cells)
    old_planted: list[Planted] = []
    planted, new_planted = old_planted, planted
    old = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": plant("old heading")},
                    {"cell_type": "code", "input": plant("old source"), "prompt_number": 3, "outputs": [
                        {"output_type": "pyout", "text": plant("old result"), "png": "iVBO"},
                        {"output_type": "stream", "stream": "stdout", "text": plant("old stream")},
                        {"output_type": "pyerr", "ename": "E", "evalue": plant("old error"), "traceback": []},
                    ]},
                ]
            }
        ],
    }  # fmt: skip
    return [
        Sample("run.ipynb", notebook(*cells, title=_title(random, new_planted)), new_planted),
        Sample("old.ipynb", json.dumps(old).encode(), old_planted),
    ]


def _title(random: Random, planted: list[Planted]) -> str:
    words = sentence(random, "title")
    planted.append(Planted(words, "title"))
    return words
