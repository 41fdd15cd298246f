"""Notebooks are read cell by cell; what of their outputs is cut or no text is said."""

import json
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Unusable
from tests.nodes.input.corpus.notebook import code, notebook, samples
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.reading import only, read


def _shown(**data: object) -> dict[str, object]:
    return {"output_type": "display_data", "data": {name.replace("_", "/"): value for name, value in data.items()}}


@pytest.mark.parametrize("seed", range(5))
def test_no_part_of_a_notebook_is_lost_silently(seed: int) -> None:
    for one in samples(Random(seed)):
        assert silently_lost(one, read(one.name, one.data)) == [], one.name


def test_cells_have_numbers_and_images_are_named_and_counted() -> None:
    markdown = {"cell_type": "markdown", "source": ["# Ablation\n", "Accuracy falls to 61 %.\n"]}
    draft = only("run.ipynb", notebook(markdown, code("plot()\n", _shown(image_png="A" * 40_000))))
    assert draft.text == (
        "[cell 1, markdown]\n# Ablation\nAccuracy falls to 61 %.\n\n"
        "[cell 2, code, run 1]\nplot()\n[output of cell 2]\n[image/png, 29 KB]\n\n"
    )
    assert draft.places["cells"] == {"at": [0, 55], "label": ["markdown", "code"], "number": [1, 2]}
    assert draft.places["sections"] == {"at": [19], "label": ["Ablation"], "level": [1]}
    assert draft.all_losses() == ["1 image not shown"]


def test_headings_in_code_are_no_sections() -> None:
    source = "```\n# no heading\n```\n## Yes ##\ntext # no"
    draft = only("a.ipynb", notebook({"cell_type": "markdown", "source": source}, code("# comment")))
    assert draft.places["sections"]["label"] == ["Yes"]


def test_long_outputs_lose_their_middle_and_say_how_much() -> None:
    draft = only("a.ipynb", notebook(code("x", {"output_type": "stream", "text": "a" * 30_000 + "end"})))
    assert "[… 10,003 characters cut …]" in draft.text
    assert draft.text.rstrip().endswith("end")
    assert draft.losses == ["outputs of over 20,000 characters are cut"]


def test_tracebacks_are_shown_without_colours_and_once() -> None:
    error = {
        "output_type": "error",
        "ename": "E",
        "evalue": "bad",
        "traceback": ["\x1b[0;31mline\x1b[0m", "\x1b[1mE\x1b[0m: bad"],
    }
    assert only("a.ipynb", notebook(code("x", error))).text.endswith("[output of cell 1]\nline\nE: bad\n\n")


def test_a_table_is_shown_whole_instead_of_its_short_form() -> None:
    table = _shown(text_plain="a\n1", text_html="<table><tr><td>a<td>b<tr><td>1<td>2</table>")
    assert only("a.ipynb", notebook(code("x", table))).text.endswith("\na\tb\n1\t2\n\n")


def test_the_language_and_authors_are_kept() -> None:
    data = notebook(code("x"), language_info={"name": "julia"}, authors=[{"name": "A. B."}])
    draft = only("a.ipynb", data)
    assert (draft.meta["language"], draft.meta["authors"]) == ("julia", ["A. B."])


@pytest.mark.parametrize("data", [b'{"cells": []}', b'{"cells": {"a": 1}}', b"3", b'{"cells": 5, "worksheets": [3]}'])
def test_other_json_is_said_to_be_no_notebook(data: bytes) -> None:
    with pytest.raises(Unusable, match="notebook"):
        only("a.ipynb", data)


@pytest.mark.parametrize("data", [b'{"cells": [{"source": "some wo', b"[" * 200_000, b"{"])
def test_a_damaged_notebook_is_shown_as_it_is_written(data: bytes) -> None:
    draft = only("a.ipynb", data)
    assert draft.text == data.decode()
    assert draft.losses[-1].startswith("a damaged notebook")


def test_a_notebook_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.nodes.input.readers.notebook.LARGEST", 10)
    with pytest.raises(Unusable, match="too large"):
        only("a.ipynb", notebook(code("x")))


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[3]], {"a": [None]}, True])
def test_cells_of_any_shape_are_read(value: object) -> None:
    cells = [
        {"cell_type": value, "source": value, "outputs": value, "attachments": value, "execution_count": value},
        {"cell_type": "code", "source": value, "outputs": [value, {"output_type": "stream", "text": value}]},
        {"cell_type": "code", "outputs": [{"output_type": "error", "traceback": value}, _shown(text_plain=value)]},
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": value}], "metadata": value},
    ]
    only("a.ipynb", json.dumps({"cells": [*cells, value, code("end")], "metadata": value}).encode())
