"""PDFs with sentences in every part that the format has."""

import zlib
from random import Random

from tests.nodes.input.corpus import Planted, Sample, sentence
from tests.nodes.input.pdf_files import FONT, Pdf, escaped, text


class _Plan:
    """One file under construction, and what was planted in it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.pdf = Pdf(compressed=random.random() < 0.5)
        self.planted: list[Planted] = []

    def plant(self, part: str, loss: str = "") -> str:
        """Return a new sentence as the inside of a literal string."""
        new = sentence(self.random, part)
        self.planted.append(Planted(new, part, loss))
        return escaped(new)

    def sample(self, name: str) -> Sample:
        """Return the file."""
        return Sample(f"{name}-{self.random.randrange(10**6)}.pdf", self.pdf.bytes(), self.planted)

    def body(self) -> None:
        """Add a page of text."""
        self.pdf.page(text(self.plant("body") for _ in range(self.random.randint(1, 5))))


def samples(random: Random) -> list[Sample]:
    """Return files with sentences in pages, on pages, beside pages, and in what is damaged."""
    return [
        make(_Plan(random))
        for make in (
            _pages,
            _annotated,
            _form,
            _document,
            _attached,
            _shared,
            _damaged_stream,
            _damaged_operators,
            _unseen,
        )
    ]


def _pages(plan: _Plan) -> Sample:
    for _ in range(plan.random.randint(1, 6)):
        plan.body()
        if plan.random.random() < 0.4:
            plan.pdf.page(plan.random.choice([None, "", "q Q"]))
    rows = [
        f"1 0 0 1 50 {700 - 12 * row} Tm ({plan.plant('left')}) Tj 1 0 0 1 330 {700 - 12 * row} Tm "
        f"({plan.plant('right')}) Tj "
        for row in range(plan.random.randint(3, 12))
    ]
    plan.pdf.page(f"BT /F 7 Tf {''.join(rows)}ET")
    hidden = plan.plant("invisible text")
    plan.pdf.page(f"BT /F 9 Tf 3 Tr 50 500 Td ({hidden}) Tj ET")
    plan.pdf.page(f"BT /F 9 Tf 5000 500 Td ({plan.plant('beyond the paper')}) Tj ET")
    plan.pdf.page(f"BT /F 9 Tf 0 1 -1 0 300 100 Tm ({plan.plant('rotated')}) Tj ET", "/Rotate 90")
    return plan.sample("pages")


def _annotated(plan: _Plan) -> Sample:
    plan.body()
    notes: list[int] = []
    author = plan.plant("author of a note")
    for kind in (
        "Text",
        "FreeText",
        "Highlight",
        "Underline",
        "StrikeOut",
        "Square",
        "Ink",
        "Caret",
        "Stamp",
        "Redact",
    ):
        words = plan.plant(kind)
        box = "/Rect[50 745 300 760]/QuadPoints[50 760 300 760 50 745 300 745]"
        notes.append(plan.pdf.add(f"<</Type/Annot/Subtype/{kind}{box}/T({author})/Contents({words})>>"))
    rich = f"<body><p>{plan.plant('rich text')}</p></body>"
    notes.append(plan.pdf.add(f"<</Type/Annot/Subtype/FreeText/Rect[0 0 9 9]/RC({rich})>>"))
    link = f"/A<</S/URI/URI(https://example.org/{plan.random.randrange(10**6)})>>/Contents({plan.plant('link')})"
    notes.append(plan.pdf.add(f"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]{link}>>"))
    plan.planted.append(Planted("(a picture)", "stamp", "stamp"))
    notes.append(plan.pdf.add("<</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]>>"))
    plan.planted.append(Planted("(a film)", "film", "video"))
    notes.append(plan.pdf.add("<</Type/Annot/Subtype/Movie/Rect[0 0 9 9]>>"))
    plan.pdf.page(text([plan.plant("body")]), f"/Annots[{' '.join(f'{one} 0 R' for one in notes)}]")
    return plan.sample("annotated")


def _form(plan: _Plan) -> Sample:
    plan.pdf.compressed = False
    widget = "<</Type/Annot/Subtype/Widget/Rect[50 50 200 70]"
    appearance = "/AP<</N<</Yes 1 0 R/Off 1 0 R>>>>"
    chosen, other = plan.plant("chosen"), plan.plant("not chosen")
    fields = [
        plan.pdf.add(f"{widget}/FT/Tx/T(Name)/TU({plan.plant('hint')})/V({plan.plant('value')})>>"),
        plan.pdf.add(f"{widget}/FT/Tx/Ff 4096/T({plan.plant('field name')[:-1]})/V({plan.plant('long value')})>>"),
        plan.pdf.add(f"{widget}/FT/Btn/T(Agree)/TU({plan.plant('check box')})/V/Yes/AS/Yes{appearance}>>"),
        plan.pdf.add(f"{widget}/FT/Ch/Ff 131072/T(Country)/V({chosen})/Opt[({other})({chosen})]>>"),
        plan.pdf.add(f"{widget}/FT/Ch/T(List)/V({chosen})/Opt[({other})({chosen})]>>"),
        plan.pdf.add(f"{widget}/FT/Btn/Ff 65536/T(Send)/MK<</CA({plan.plant('button')})>>>>"),
    ]
    plan.planted = [one if one.part != "field name" else Planted(one.sentence[:-1], one.part) for one in plan.planted]
    unplaced = plan.pdf.add(f"<</FT/Tx/T(Hidden)/V({plan.plant('hidden field')})>>")
    listed = " ".join(f"{one} 0 R" for one in fields)
    plan.pdf.catalog = f"/AcroForm<</Fields[{listed} {unplaced} 0 R]>>"
    plan.pdf.page(text([plan.plant("body")]), f"/Annots[{listed}]")
    if plan.random.random() < 0.5:
        packet = plan.pdf.stream(b"<xdp:xdp/>")
        plan.pdf.catalog = plan.pdf.catalog.replace("/Fields", f"/XFA {packet} 0 R/Fields")
        plan.planted.append(Planted("(XML)", "XFA", "XFA"))
    return plan.sample("form")


def _document(plan: _Plan) -> Sample:
    pdf = plan.pdf
    pdf.info = {key: plan.plant(key) for key in ("Title", "Author", "Subject", "Keywords")}
    described = plan.plant("image description")
    heading = plan.plant("heading")
    content = "/Figure<</MCID 0>>BDC q 10 0 0 10 0 0 cm 0 0 1 1 re f Q EMC " + text([heading, plan.plant("body")])
    page = pdf.page(content, "/StructParents 0")
    root = len(pdf.objects) + 1
    pdf.add(f"<</Type/StructTreeRoot/K {root + 1} 0 R/ParentTree<</Nums[0[{root + 1} 0 R]]>>>>")
    pdf.add(f"<</Type/StructElem/S/Figure/P {root} 0 R/Pg {page} 0 R/K 0/Alt({described})>>")
    first = root + 2
    pdf.add(f"<</Type/Outlines/First {first + 1} 0 R/Last {first + 2} 0 R>>")
    pdf.add(f"<</Title({heading})/Parent {first} 0 R/Next {first + 2} 0 R/Dest[{page} 0 R/Fit]>>")
    pdf.add(f"<</Title({plan.plant('outline')})/Parent {first} 0 R/First {first + 3} 0 R>>")
    pdf.add(f"<</Title({plan.plant('lower outline')})/Parent {first + 2} 0 R/Dest[{page} 0 R/Fit]>>")
    pdf.catalog = f"/MarkInfo<</Marked true>>/StructTreeRoot {root} 0 R/Outlines {first} 0 R"
    layer = pdf.add(f"<</Type/OCG/Name({plan.plant('layer name')})>>")
    pdf.catalog += f"/OCProperties<</OCGs[{layer} 0 R]/D<</OFF[{layer} 0 R]>>>>"
    hidden = plan.plant("hidden layer")
    pdf.page(f"/OC /L BDC {text([hidden])} EMC", resources=f"/Properties<</L {layer} 0 R>>")
    pdf.catalog += f"/PageLabels<</Nums[0<</P({plan.plant('label')[:90]})>>]>>"
    return plan.sample("document")


def _attached(plan: _Plan) -> Sample:
    plan.body()
    inner = Pdf()
    inner.page(text([plan.plant("attached PDF")]))
    files = {
        "notes.txt": _plain(plan, "attached text"),
        "table.csv": b"word,number\n" + _plain(plan, "attached table") + b",1\n",
        "inner.pdf": inner.bytes(),
    }
    plan.pdf.attach(files)
    stream = plan.pdf.stream(_plain(plan, "pinned file"), "/Type/EmbeddedFile")
    pinned = plan.pdf.add(
        f"<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/Contents({plan.plant('words on a pin')})"
        f"/FS<</Type/Filespec/F(pinned.txt)/UF(pinned.txt)/EF<</F {stream} 0 R>>>>>>"
    )
    plan.pdf.page("", f"/Annots[{pinned} 0 R]")
    if plan.random.random() < 0.5:
        plan.pdf.catalog += "/Collection<<>>"
    return plan.sample("attached")


def _plain(plan: _Plan, part: str) -> bytes:
    plan.plant(part)
    return plan.planted[-1].sentence.encode()


def _shared(plan: _Plan) -> Sample:
    """Text in drawings that pages share, one inside the other."""
    entries = f"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F {FONT}>>"
    inner = plan.pdf.stream(text([plan.plant("drawing in a drawing")]).encode(), entries + ">>")
    outer = plan.pdf.stream(
        f"/I Do {text([plan.plant('drawing')], y=500)}".encode(), entries + f"/XObject<</I {inner} 0 R>>>>"
    )
    for _ in range(2):
        plan.pdf.page("/X Do " + text([plan.plant("body")], y=300), resources=f"/XObject<</X {outer} 0 R>>")
    return plan.sample("shared")


def _damaged_stream(plan: _Plan) -> Sample:
    plan.body()
    content = zlib.compress(text(plan.plant("damaged stream", "damaged stream") for _ in range(40)).encode())
    at = plan.random.randrange(len(content) // 3, len(content) - 20)
    broken = content[:at] + (b"" if plan.random.random() < 0.5 else b"\xff\xff\xff" + content[at + 3 :])
    plan.pdf.raw_page(plan.pdf.stream(broken, "/Filter/FlateDecode"))
    plan.body()
    return plan.sample("damaged")


def _damaged_operators(plan: _Plan) -> Sample:
    plan.body()
    fault = plan.random.choice(["[", "(", "<41", "BI /W 1 ID"])
    before, after = plan.plant("before the fault"), plan.plant("after the fault", "page ")
    plan.pdf.page(f"BT /F 9 Tf 50 500 Td ({before}) Tj 0 -20 Td {fault} ({after}) Tj ET")
    plan.body()
    return plan.sample("operators")


def _unseen(plan: _Plan) -> Sample:
    plan.body()
    cropped = plan.plant("cropped", "outside of what is visible")
    plan.pdf.page(f"{text([plan.plant('visible')])} BT /F 9 Tf 400 300 Td ({cropped}) Tj ET", "/CropBox[0 0 390 800]")
    plan.pdf.image_page()
    plan.planted.append(Planted("(a scan)", "scan", "image without text"))
    plan.pdf.page("10 10 100 100 re f")
    plan.planted.append(Planted("(a drawing)", "drawing", "drawing without text"))
    return plan.sample("unseen")
