"""Presentations are read slide by slide, with notes, comments, charts and what is hidden."""

import io
from random import Random

import pytest
from pptx import Presentation

from durable_rlm.nodes.input.draft import Draft
from tests.nodes.input.corpus.parts import relations, zipped
from tests.nodes.input.corpus.powerpoint import presentation, samples, shape, slide
from tests.nodes.input.corpus.silent import lost
from tests.nodes.input.reading import only


def read(*slides: str, **parts: str) -> Draft:
    return only("deck.pptx", zipped({**presentation(*slides), **parts}))


@pytest.mark.parametrize("seed", range(6))
def test_no_sentence_in_any_part_is_lost_without_a_note(seed: int) -> None:
    assert [lost(one) for one in samples(Random(seed))] == [[]]


def test_a_presentation_reads_like_its_slides() -> None:
    deck = Presentation()
    one = deck.slides.add_slide(deck.slide_layouts[1])
    assert one.shapes.title is not None
    one.shapes.title.text = "Market report"
    one.placeholders[1].text = "Share fell to 12 %"  # pyright: ignore[reportAttributeAccessIssue]
    notes = one.notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Do not show: real share is 9 %"
    file = io.BytesIO()
    deck.save(file)
    draft = only("deck.pptx", file.getvalue())
    assert draft.text == "## Slide 1: Market report\nShare fell to 12 %\nNotes: Do not show: real share is 9 %\n"
    assert draft.places == {"slides": {"at": [0], "label": ["Market report"]}}
    assert draft.all_losses() == []
    assert draft.meta["slides"] == 1


def test_titles_come_first_and_hidden_slides_are_marked() -> None:
    draft = read(slide(shape("body") + shape("Title", "title")), slide(shape("secret"), more='show="false"'))
    assert draft.text == "## Slide 1: Title\nbody\n\n## Slide 2 (hidden)\nsecret\n"
    assert draft.places["slides"] == {"at": [0, 24], "label": ["Title", ""]}
    assert draft.meta["hidden_slides"] == [2]


def test_slides_come_in_the_order_of_the_presentation() -> None:
    parts = presentation(slide(shape("first")), slide(shape("second")))
    listed = '<p:sldId id="256" r:id="r1"/><p:sldId id="257" r:id="r2"/>'
    turned = '<p:sldId id="257" r:id="r2"/><p:sldId id="256" r:id="r1"/>'
    parts["ppt/presentation.xml"] = str(parts["ppt/presentation.xml"]).replace(listed, turned)
    assert only("a.pptx", zipped(parts)).text == "## Slide 1\nsecond\n\n## Slide 2\nfirst\n"


def test_a_damaged_slide_costs_that_slide() -> None:
    draft = read(slide(shape("first")), "<p:sld", slide(shape("third")))
    assert draft.text == "## Slide 1\nfirst\n\n## Slide 2\n\n## Slide 3\nthird\n"
    assert any("ppt/slides/slide2.xml cannot be read" in loss for loss in draft.all_losses())


def test_hints_of_masters_are_not_text_and_their_own_words_are_shown_once() -> None:
    rels = relations(("slideLayout", "../slideLayouts/slideLayout1.xml"))
    layout = slide(shape("Click to edit", "title") + shape("CONFIDENTIAL"), "sldLayout")
    draft = read(
        slide(shape("a")),
        slide(shape("b")),
        **{
            "ppt/slides/_rels/slide1.xml.rels": rels,
            "ppt/slides/_rels/slide2.xml.rels": rels,
            "ppt/slideLayouts/slideLayout1.xml": layout,
        },
    )
    assert draft.text.count("CONFIDENTIAL") == 1
    assert "Click" not in draft.text


def test_parts_that_the_reader_does_not_know_are_counted() -> None:
    draft = read(slide(shape("a") + "<p:novelty><a:t>two words</a:t></p:novelty>"), **{"ppt/media/a.mp3": "x"})
    assert draft.all_losses() == ["1 sound not shown", "2 words of ppt/slides/slide1.xml not shown"]


def test_a_slide_that_is_listed_again_is_read_once() -> None:
    parts = presentation(slide(shape("first")))
    again = '<p:sldId id="256" r:id="r1"/>'
    parts["ppt/presentation.xml"] = str(parts["ppt/presentation.xml"]).replace(again, again * 3)
    draft = only("deck.pptx", zipped(parts))
    assert draft.text == "## Slide 1\nfirst\n"
    assert draft.all_losses() == ["2 duplicates of a slide not shown"]


def test_a_link_inside_of_a_text_shows_where_it_leads() -> None:
    run = "<a:r><a:rPr><a:hlinkClick r:id='o1'/></a:rPr><a:t>here</a:t></a:r>"
    linked = slide(shape("").replace("<a:p>", f"<a:p>{run}"))
    rels = relations(outside=(("hyperlink", "https://example.org/a"),))
    draft = read(linked, **{"ppt/slides/_rels/slide1.xml.rels": rels})
    assert draft.text == "## Slide 1\nhere <https://example.org/a>\n"


def test_the_number_of_a_slide_is_not_a_text_of_it() -> None:
    draft = read(slide(shape("a") + shape("‹#›", "sldNum")))
    assert draft.text == "## Slide 1\na\n"
    assert draft.all_losses() == []
