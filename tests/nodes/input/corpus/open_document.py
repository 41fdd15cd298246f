"""OpenDocument texts with a sentence in every part: body, lists, tables, notes, changes, frames, margins."""

from collections.abc import Callable
from random import Random

from tests.nodes.input.corpus import Planted, Sample, sentence
from tests.nodes.input.readers.odf_files import changed, comment, flat, note, odt, part


def _body(random: Random) -> dict[str, Callable[[str], str]]:
    """Return, by part, how a sentence stands in the body of a document."""

    def p(inside: str) -> str:
        return f"<text:p>{inside}</text:p>"

    def spans(words: str) -> str:
        cut = random.randrange(len(words))
        return f"{words[:cut]}<text:span>{words[cut:]}</text:span>"

    def frame(inside: str) -> str:
        return p(f"x<draw:frame>{inside}</draw:frame>y")

    def table(words: str) -> str:
        row = f"<table:table-row><table:table-cell>{p('a')}</table:table-cell>{{}}</table:table-row>"
        return f"<table:table>{row.format(f'<table:table-cell>{p(spans(words))}</table:table-cell>')}</table:table>"

    return {
        "paragraph": lambda words: p(spans(words)),
        "heading": lambda words: f'<text:h text:outline-level="{random.randint(1, 10)}">{words}</text:h>',
        "item": lambda words: f"<text:list><text:list-item>{p(words)}</text:list-item></text:list>",
        "list header": lambda words: f"<text:list><text:list-header>{p(words)}</text:list-header></text:list>",
        "cell": table,
        "nested cell": lambda words: (
            f"<table:table><table:table-row><table:table-cell>{table(words)}</table:table-cell></table:table-row>"
            "</table:table>"
        ),
        "footnote": lambda words: p(f"x{note('footnote', words)} y"),
        "endnote": lambda words: p(f"x{note('endnote', words)} y"),
        "comment": lambda words: p(f"x{comment(words)} y"),
        "text box": lambda words: frame(f"<draw:text-box>{p(words)}</draw:text-box>"),
        "page box": lambda words: f"<draw:frame><draw:text-box>{p(words)}</draw:text-box></draw:frame>",
        "shape": lambda words: p(f"<draw:custom-shape>{p(words)}</draw:custom-shape>"),
        "description": lambda words: frame(f'<draw:image xlink:href="a.png"/><svg:desc>{words}</svg:desc>'),
        "title of a picture": lambda words: frame(f'<draw:image xlink:href="a.png"/><svg:title>{words}</svg:title>'),
        "hidden": lambda words: p(f'<text:span text:style-name="Hidden">{words}</text:span>'),
        "hidden text": lambda words: p(f'<text:hidden-text text:string-value="{words}"/>'),
        "section": lambda words: f'<text:section text:display="none">{p(words)}</text:section>',
        "index": lambda words: (
            "<text:table-of-content><text:table-of-content-source/><text:index-body>"
            f"{p(words)}</text:index-body></text:table-of-content>"
        ),
        "link": lambda words: p(f'<text:a xlink:href="https://a.example/{words.split()[0]}">{words}</text:a>'),
        "ruby": lambda words: p(
            f"<text:ruby><text:ruby-base>{words}</text:ruby-base><text:ruby-text>x</text:ruby-text></text:ruby>"
        ),
        "form": lambda words: (
            f'<office:forms><form:form><form:text form:id="f1" form:current-value="{words}"/></form:form>'
            "</office:forms>"
        ),
        "inline formula": lambda words: frame(
            f"<draw:object><math:math><math:mi>{words}</math:mi></math:math></draw:object>"
        ),
        "loose words": lambda words: words,
    }


def samples(random: Random) -> list[Sample]:
    """Return a document with every part, one with some, and a flat one."""
    return [_sample(random, "all.odt", 1.0), _sample(random, "some.ott", 0.4), _sample(random, "flat.fodt", 0.7)]


def _sample(random: Random, name: str, share: float) -> Sample:
    planted: list[Planted] = []

    def plant(place: str, loss: str = "") -> str:
        planted.append(Planted(sentence(random, place), place, loss))
        return planted[-1].sentence

    makers = [one for one in _body(random).items() if random.random() < share]
    random.shuffle(makers)
    body = "".join(make(plant(place, "piece" if place == "loose words" else "")) for place, make in makers)
    body += (
        f'<text:p><text:change-start text:change-id="c1"/>{plant("insertion")}<text:change-end text:change-id="c1"/>'
    )
    body += '<text:change text:change-id="c2"/></text:p>'
    regions = changed("insertion", "c1") + changed("deletion", "c2", plant("deletion"))
    regions += changed("deletion", "c3", plant("deletion that nothing refers to"))
    masters = "".join(
        f'<style:master-page style:name="{index}"><style:header><text:p>{plant("header")}</text:p></style:header>'
        f"<style:header-left><text:p>{plant('left header')}</text:p></style:header-left>"
        f"<style:footer><text:p>{plant('footer')}</text:p></style:footer></style:master-page>"
        for index in range(random.randint(1, 3))
    )
    meta = "".join(
        f"<{one}>{plant(one)}</{one}>" for one in ("dc:title", "dc:subject", "dc:description", "meta:keyword")
    )
    hidden = '<style:text-properties text:display="none"/>'
    styles = f'<style:style style:name="Hidden" style:family="text">{hidden}</style:style>'
    body = f"<text:tracked-changes>{regions}</text:tracked-changes>{body}"
    if name.startswith("flat"):
        return Sample(name, flat(body, styles=styles, masters=masters, meta=meta), planted)
    chart = f"<chart:chart><chart:title><text:p>{plant('chart title')}</text:p></chart:title></chart:chart>"
    formula = f"<math:mi>{plant('formula')}</math:mi>"
    body += '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>'
    files = {
        "Object 1/content.xml": part("office:document-content", chart),
        "Object 2/content.xml": part("math:math", formula),
    }
    return Sample(name, odt(body, styles=styles, masters=masters, meta=meta, files=files), planted)
