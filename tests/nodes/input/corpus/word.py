"""Word documents with a sentence in every part: body, tables, notes, changes, drawings, margins."""

from collections.abc import Callable
from random import Random

from tests.nodes.input.corpus import Planted, Sample, sentence
from tests.nodes.input.readers.word_files import docx, levels, listed, numbering, p

_IMAGE = '<a:graphic><a:graphicData uri="x/picture"><pic:pic/></a:graphicData></a:graphic>'


def _split(random: Random, words: str, tag: str = "t") -> str:
    """Return words as a few runs, as Word cuts them after every edit."""
    cuts = sorted(random.sample(range(1, len(words)), min(len(words) - 1, random.randint(0, 3))))
    pieces = [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
    return "".join(f'<w:r><w:{tag} xml:space="preserve">{one}</w:{tag}></w:r>' for one in pieces)


def _box(words: str) -> str:
    inside = f"<w:txbxContent>{p(words)}</w:txbxContent>"
    return (
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx>{inside}</wps:txbx></w:drawing>'
        f"</mc:Choice><mc:Fallback><w:pict><v:textbox>{inside}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )


def _table(*rows: list[str]) -> str:
    lines = "".join(f"<w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in row)}</w:tr>" for row in rows)
    return f"<w:tbl>{lines}</w:tbl>"


def _field(instruction: str, result: str) -> str:
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def _body(random: Random) -> dict[str, Callable[[str], str]]:
    """Return, by part, how a sentence stands in the body of a document."""

    def run(words: str) -> str:
        return _split(random, words)

    who = f'w:author="{random.choice(["Ann", "Bo & Co".replace("&", "&amp;"), ""])}" w:date="2026-01-02T10:00:00Z"'
    link = "https://a.example/"
    return {
        "paragraph": lambda words: p(run(words)),
        "heading": lambda words: p(run(words), style=f"Heading{random.randint(1, 9)}"),
        "item": lambda words: listed(words, random.randint(0, 2), random.randint(0, 2)),
        "cell": lambda words: _table([p("a"), p(run(words))], [p("b"), p("c")]),
        "nested cell": lambda words: _table([_table([p("a"), p(run(words))]), p("b")]),
        "frame": lambda words: _table([p(run(words))]),
        "content control": lambda words: f"<w:sdt><w:sdtPr/><w:sdtContent>{p(run(words))}</w:sdtContent></w:sdt>",
        "inline control": lambda words: p(f"<w:sdt><w:sdtContent>{run(words)}</w:sdtContent></w:sdt>"),
        "insertion": lambda words: p(f"<w:ins {who}>{run(words)}</w:ins>"),
        "deletion": lambda words: p(f"<w:del {who}>{_split(random, words, 'delText')}</w:del>"),
        "move": lambda words: p(f"<w:moveFrom {who}>{run(words)}</w:moveFrom>"),
        "text box": lambda words: p("x", _box(words)),
        "old text box": lambda words: p(
            f"<w:r><w:pict><v:textbox><w:txbxContent>{p(run(words))}</w:txbxContent></v:textbox></w:pict></w:r>"
        ),
        "hidden": lambda words: p(f"<w:r><w:rPr><w:vanish/></w:rPr><w:t>{words}</w:t></w:r>"),
        "field": lambda words: p(_field("REF x", run(words))),
        "nested field": lambda words: p(_field("TOC", run("x") + _field("PAGEREF y", run(words)))),
        "simple field": lambda words: p(f'<w:fldSimple w:instr="AUTHOR">{run(words)}</w:fldSimple>'),
        "address": lambda words: p(_field(f' HYPERLINK "{link}{words.split()[0]}" ', run(words))),
        "smart tag": lambda words: p(f"<w:smartTag><w:smartTagPr/>{run(words)}</w:smartTag>"),
        "formula": lambda words: p(f"<m:oMath><m:r><m:t>{words}</m:t></m:r></m:oMath>"),
        "ruby": lambda words: p(
            f"<w:r><w:ruby><w:rt>{run('rt')}</w:rt><w:rubyBase>{run(words)}</w:rubyBase></w:ruby></w:r>"
        ),
        "description": lambda words: p(
            f'<w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" descr="{words}"/>{_IMAGE}</wp:inline>'
            "</w:drawing></w:r>"
        ),
        "word art": lambda words: p(f'<w:r><w:pict><v:shape><v:textpath string="{words}"/></v:shape></w:pict></w:r>'),
        "unknown": lambda words: f"<w:unknown>{words}</w:unknown>",
    }


def samples(random: Random) -> list[Sample]:
    """Return a document with every part, a Strict one with some, and one under an older suffix."""
    return [
        _sample(random, "all.docx", share=1.0),
        _sample(random, "some.docx", share=0.5, strict=True),
        _sample(random, "macros.docm", share=0.3),
    ]


def _sample(random: Random, name: str, share: float, strict: bool = False) -> Sample:
    planted: list[Planted] = []

    def plant(part: str, loss: str = "") -> str:
        planted.append(Planted(sentence(random, part), part, loss))
        return planted[-1].sentence

    makers = [one for one in _body(random).items() if random.random() < share]
    random.shuffle(makers)
    body = "".join(make(plant(part, "piece" if part == "unknown" else "")) for part, make in makers)
    parts: dict[str, tuple[str, str]] = {
        "numbering.xml": ("numbering", numbering(levels("%1.", "%1.%2", "(%3)", forms="decimal lowerLetter"), "", "")),
    }
    links: dict[str, tuple[str, str]] = {}
    files: dict[str, bytes] = {}
    for number, kind in enumerate(("footnote", "endnote", "comment")):
        shown, unused = plant(kind), plant(f"unused {kind}")
        reference = f'<w:r><w:{kind}Reference w:id="{number}"/></w:r>'
        body += (
            p("Marked", reference) if kind != "comment" else p(f'<w:commentRangeStart w:id="{number}"/>x', reference)
        )
        notes = "".join(
            f'<w:{kind} w:id="{identity}" w:author="Ann">{p(words)}</w:{kind}>'
            for identity, words in ((number, shown), (99, unused))
        )
        parts[f"{kind}s.xml"] = (f"{kind}s", notes)
    for kind in ("header", "footer"):
        for index in range(random.randint(1, 3)):
            parts[f"{kind}{index}.xml"] = (
                kind,
                p(plant(f"{kind} {index}")) + _table([p("x"), p(plant(f"{kind} cell"))]),
            )
    parts["charts/chart1.xml"] = ("chart", _chart(plant))
    parts["d.xml"] = ("diagramData", f"<dgm:pt><a:p><a:r><a:t>{plant('diagram')}</a:t></a:r></a:p></dgm:pt>")
    body += p('<w:r><w:drawing><c:chart r:id="charts/chart1.xml"/></w:drawing></w:r>')
    body += p('<w:r><w:drawing><dgm:relIds r:dm="d.xml"/></w:drawing></w:r>')
    parts["lost.xml"] = ("", p(plant("part that nothing names", "lost.xml")))
    files["word/embeddings/inner.docx"] = docx(p(plant("embedded file")))
    files["word/chunk.docx"] = docx(p(plant("inserted file")))
    links["chunk"] = ("aFChunk", "chunk.docx")
    body += '<w:altChunk r:id="chunk"/>'
    properties = {one: plant(one) for one in ("title", "subject", "creator", "keywords", "description")}
    data = docx(body, parts=parts, files=files, links=links, properties=properties, strict=strict)
    return Sample(name, data, planted)


def _chart(plant: Callable[[str], str]) -> str:
    return (
        f"<c:title><a:p><a:r><a:t>{plant('chart title')}</a:t></a:r></a:p></c:title>"
        f"<c:ser><c:tx><c:v>{plant('series')}</c:v></c:tx><c:cat><c:pt><c:v>{plant('category')}</c:v></c:pt></c:cat>"
        f"<c:val><c:pt><c:v>4</c:v></c:pt></c:val></c:ser><c:valAx><c:title><a:p><a:r><a:t>{plant('axis')}</a:t></a:r></a:p>"
        "</c:title></c:valAx>"
    )
