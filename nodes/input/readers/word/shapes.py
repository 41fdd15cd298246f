"""Text boxes, pictures, charts and other drawings in a Word document."""

from ..office.zip_package import Element, attribute, local
from .names import COUNTED, Handler, WordFile
from .numbering import Counts
from .output import Output


class Shapes:
    """Writes the drawings of one traversal."""

    def __init__(self, file: WordFile, part: str, out: Output, counts: Counts) -> None:
        """Begin. `starts` and `ends` are the handlers of its elements."""
        self._file, self._part, self._out = file, part, out
        self.counts = [counts]
        """The numbers of lists, of the innermost text box last: each box counts on its own."""
        self.rejected: set[Element] = set()
        """Elements not to be read: alternatives of others."""
        self.set_aside = 0
        """Pieces of text in them."""
        self._description: str = ""
        self.starts: dict[str, Handler] = {
            "w:txbxContent": self._box,
            "a:txBody": self._box,
            "wp:docPr": self._described,
            "pic:cNvPr": self._described,
            "wps:cNvPr": self._described,
            "pic:pic": self._picture,
            "v:imagedata": self._picture,
            "v:textpath": lambda element: self._named(element, "string", "WordArt"),
            **dict.fromkeys(("v:shape", "v:rect", "v:oval"), lambda element: self._named(element, "alt", "image")),
            "c:chart": lambda element: self._graphic(element, "id"),
            "cx:chart": lambda element: self._graphic(element, "id"),
            "dgm:relIds": lambda element: self._graphic(element, "dm"),
            "o:OLEObject": lambda element: self._object(element, "object"),
            "w:control": lambda element: self._object(element, "control"),
            "mc:AlternateContent": self._alternatives,
        }
        self.ends: dict[str, Handler] = {"w:txbxContent": self._end_box, "a:txBody": self._end_box}

    def _box(self, element: Element) -> None:
        self._out.push()
        self.counts.append(Counts())

    def _end_box(self, element: Element) -> None:
        self.counts.pop()
        if words := self._out.pop().strip():
            self._out.aside(f"[text box: {words}]\n")

    def _described(self, element: Element) -> None:
        words = ". ".join(one for one in (attribute(element, "title"), attribute(element, "descr")) if one.strip())
        if words and words != self._description:
            noun = "image" if local(element) == "docPr" and _is_picture(element) else "drawing"
            self._out.write(f"[{'image' if 'pic' in str(element.tag) else noun}: {' '.join(words.split())}]")
        self._description = words

    def _named(self, element: Element, name: str, noun: str) -> None:
        if words := " ".join(attribute(element, name).split()):
            self._out.write(f"[{noun}: {words}]")

    def _picture(self, element: Element) -> None:
        # An embedded file's picture shows that file, which is read or named itself.
        if not any(local(one) == "object" for one in element.iterancestors()):
            self._file.images += 1

    def _graphic(self, element: Element, name: str) -> None:
        if block := self._file.graphic(self._part, attribute(element, name)):
            self._out.aside(block)

    def _object(self, element: Element, noun: str) -> None:
        self._out.write(self._file.object(self._part, attribute(element, "id"), noun))

    def _alternatives(self, element: Element) -> None:
        """Choose the first alternative with words, else the first; others that say something else are counted."""
        choices = [one for one in element if local(one) in ("Choice", "Fallback")]
        counts = [int(one.xpath(COUNTED)) for one in choices]
        chosen = next((index for index, count in enumerate(counts) if count), 0)
        words = _words(choices[chosen]) if choices and sum(counts) > counts[chosen] else ""
        for index, one in enumerate(choices):
            if index == chosen:
                continue
            self.rejected.add(one)
            self.set_aside += counts[index]
            if counts[index] and _words(one) not in words:
                self._file.missing("differing alternative of a drawing")


def _is_picture(properties: Element) -> bool:
    graphic = next((one for one in properties.itersiblings() if local(one) == "graphic"), None)
    data = graphic[0] if graphic is not None and len(graphic) else None
    return data is not None and attribute(data, "uri").endswith("/picture")


def _words(element: Element) -> str:
    return "".join("".join(str(one.text or "") for one in element.iter("{*}t", "{*}delText")).split())
