"""The text of single pages: pdfium's, or pypdf's where pdfium's looks wrong, and what is missing from both."""

from dataclasses import dataclass, field
from typing import Any

from .columns import boxes_of, by_column
from .right_to_left import in_reading_order
from .second import NotTried, SecondReader, in_short
from .streams import DAMAGED, SYNTAX, TOO_LARGE, WRONG, Streams
from .text import clean, is_right_to_left, letters, pages_in_words, undecoded

_EVERYWHERE = 1e6
"""Points from a page's corner: text outside of the paper is read, too."""
_LITTLE_TEXT = 200
"""Characters of a page that may be a scan with a printed number or stamp over it."""


@dataclass
class Page:
    """The text of one page, and the reason for having none."""

    text: str = ""
    is_image: bool = False
    """It has an image and no text."""
    is_stamped_image: bool = False
    """An image covers most of it, and it has little text."""
    is_drawing: bool = False
    is_blank: bool = False


@dataclass
class PageLosses:
    """All that is missing, by page."""

    pages: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Page numbers by the rest of a sentence that begins with them: `cannot be read (damaged stream)`."""
    unknown_signs: int = 0

    def add(self, number: int, phrase: str) -> None:
        """Note something for page `number`, from 1."""
        numbers = self.pages.setdefault(phrase, [])
        if not numbers or numbers[-1] != number:
            numbers.append(number)

    def phrases(self) -> list[str]:
        """Return one phrase for each kind of loss, with the pages that have it."""
        found: list[str] = []
        for phrase, numbers in self.pages.items():
            one, _, many = phrase.partition("|")
            found.append(f"{pages_in_words(numbers)} {one if len(numbers) == 1 or not many else many}")
        if self.unknown_signs:
            noun = "character stands" if self.unknown_signs == 1 else "characters stand"
            found.append(f"{self.unknown_signs:,} {noun} for a sign that a font does not name")
        return found


class PageReader:
    """Reads the pages of one file in their order."""

    def __init__(self, streams: Streams, second: SecondReader, losses: PageLosses) -> None:
        """Take the checked streams and the second reader."""
        self._streams = streams
        self._second = second
        self._losses = losses
        self.seen_flaws: set[int] = set()
        """Objects with a flaw that a page's loss stands for."""
        self._lost: set[int] = set()
        """Pages of which a loss says that they cannot be read."""

    def read(self, page: Any, textpage: Any, number: int) -> Page:
        """Return the text of a page that pdfium has opened; `number` counts from 0. Notes what is missing."""
        found = Page(_text(page, textpage, number + 1, self._losses))
        if self._streams.flaws:
            found.text = self._repaired(number, found.text)
        if self._streams.fonts > 0 and _drops_signs(page, textpage):
            found.text = self._more_signs(number, found.text)
        bad = undecoded(found.text)
        if not found.text.strip():
            self._look_at_empty(page, number, found)
        elif bad or is_right_to_left(found.text):
            found.text = self._better(number, found.text, bad)
        self._losses.unknown_signs += undecoded(found.text)
        if 0 < len(found.text) < _LITTLE_TEXT and found.text.strip():
            found.is_stamped_image = _covered(page)
        return found

    def read_by_second(self, number: int, reason: str) -> Page | None:
        """Return a page that pdfium does not open; None if the second reader does not open it either."""
        try:
            return Page(self._second.text(number))
        except NotTried:
            return None
        except Exception as error:  # what is in the page decides how it fails
            self._losses.add(number + 1, f"cannot be read ({reason}; {in_short(error)})")
            return Page()

    def _repaired(self, number: int, text: str) -> str:
        """Return the text of a page that may have a flawed content, with what else can be read; note the flaw."""
        try:
            flawed = [one for one in self._second.objects(number) if one in self._streams.flaws]
        except NotTried:
            return text
        if not flawed:
            return text
        self.seen_flaws |= set(flawed)
        kinds = {self._streams.flaws[one] for one in flawed}
        for kind in (DAMAGED, TOO_LARGE, WRONG):
            if kind in kinds:
                return self._before_fault(number, text, kind)
        return self._checked(number, text)

    def _before_fault(self, number: int, text: str, flaw: str) -> str:
        try:
            partial = self._second.text_before_fault(number)
        except NotTried:
            partial = ""
        if letters(partial) > letters(text):
            text = partial
        self._lost.add(number)
        if flaw == WRONG and text.strip():
            self._losses.add(number + 1, f"may have wrong words ({DAMAGED})")
        else:
            reason = DAMAGED if flaw == WRONG else flaw
            self._losses.add(number + 1, f"cannot be read{' to its end' if text.strip() else ''} ({reason})")
        return text

    def _checked(self, number: int, text: str) -> str:
        """Return the better text of a page whose operators look wrong. The second reader says whether they are."""
        try:
            other = self._second.text(number)
        except NotTried as reason:
            self._losses.add(number + 1, f"may be incomplete (its operators are damaged; {reason})")
            return text
        except Exception as error:  # what is in the page decides how it fails
            self._losses.add(number + 1, f"cannot be read to its end ({in_short(error)})")
            return text
        return self._longer(number, text, other)

    def _longer(self, number: int, text: str, other: str) -> str:
        here, there = letters(text), letters(other)
        if there <= max(here * 1.05, here + 4):
            return text
        self._losses.add(number + 1, f"is read differently by two programs ({here:,} and {there:,} letters)")
        return other

    def _more_signs(self, number: int, text: str) -> str:
        """Return the second reader's text if it has more letters: pdfium drops signs of fonts that it cannot draw."""
        try:
            other = self._second.text(number)
        except NotTried as reason:
            self._losses.add(number + 1, f"may be incomplete (its fonts are not in the file; {reason})")
            return text
        except Exception as error:  # what is in the page decides how it fails
            self._losses.add(number + 1, f"may be incomplete (its fonts are not in the file; {in_short(error)})")
            return text
        return other if letters(other) > letters(text) else text

    def _better(self, number: int, text: str, bad: int) -> str:
        """Return the second reader's text if it knows more signs, or the order of right-to-left letters."""
        try:
            other = self._second.text(number)
        except NotTried:
            other = ""
        except Exception as error:  # what is in the page decides how it fails
            other = ""
            self._losses.add(number + 1, f"cannot be read to its end ({in_short(error)})")
        whole = letters(other) >= 0.95 * letters(text)
        if is_right_to_left(text):
            return in_reading_order([other, text] if whole else [text])
        return other if undecoded(other) < bad and whole else text

    def _look_at_empty(self, page: Any, number: int, found: Page) -> None:
        """Find out why a page has no text."""
        from pypdfium2 import raw

        kinds = {one.type for one in page.get_objects(max_depth=4)}
        if raw.FPDF_PAGEOBJ_IMAGE in kinds:
            found.is_image = True
        elif raw.FPDF_PAGEOBJ_TEXT in kinds:
            self._text_or_loss(number, found, "cannot be read (its text has no signs)")
        elif kinds:
            found.is_drawing = True
        else:
            self._look_at_content(number, found)

    def _look_at_content(self, number: int, found: Page) -> None:
        if number in self._lost:
            return
        if not self._streams.unknown:
            # Every content of the file unpacks, and this one draws nothing.
            found.is_blank = True
            return
        try:
            content, flaw = self._second.content(number)
        except NotTried:
            content, flaw = b"", ""
        if flaw:
            found.text = self._before_fault(number, "", flaw)
        elif b"Tj" in content or b"TJ" in content:
            self._text_or_loss(number, found, f"cannot be read ({SYNTAX})")
        else:
            found.is_blank = True

    def _text_or_loss(self, number: int, found: Page, phrase: str) -> None:
        try:
            found.text = self._second.text(number)
        except NotTried:
            found.text = ""
        except Exception as error:  # what is in the page decides how it fails
            phrase = f"cannot be read ({in_short(error)})"
        if not found.text.strip():
            self._losses.add(number + 1, phrase)


def _drops_signs(page: Any, textpage: Any) -> bool:
    """Return whether there are pieces of text of which pdfium gives nothing."""
    from pypdfium2 import raw

    return any(
        raw.FPDFTextObj_GetText(one, textpage, None, 0) <= 2
        for one in page.get_objects(filter=(raw.FPDF_PAGEOBJ_TEXT,), max_depth=4)
    )


def _covered(page: Any) -> bool:
    """Return whether images cover half of the page."""
    from pypdfium2 import raw

    area = 0.0
    for one in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=4):
        left, bottom, right, top = one.get_bounds()
        area += abs((right - left) * (top - bottom))
    width, height = page.get_size()
    return area > 0.5 * width * height


def _text(page: Any, textpage: Any, number: int, losses: PageLosses) -> str:
    """Return pdfium's cleaned text, columns in their order."""
    text = _hyphens(textpage, textpage.get_text_bounded(-_EVERYWHERE, -_EVERYWHERE, _EVERYWHERE, _EVERYWHERE))
    if page.get_cropbox() != page.get_mediabox():
        # A part of a sheet, whose other parts are often other pages.
        visible = _hyphens(textpage, textpage.get_text_bounded())
        if letters(visible) < letters(text):
            losses.add(
                number, "has text outside of what is visible, not shown|have text outside of what is visible, not shown"
            )
        text = visible

    def text_in(left: float, bottom: float, right: float, top: float) -> str:
        return _hyphens(textpage, textpage.get_text_bounded(left, bottom, right, top))

    if len(text) > 200 and (columns := by_column(boxes_of(textpage), text, text_in)):
        text = columns
    return clean(text)


def _hyphens(textpage: Any, text: str) -> str:
    """Return the text with U+FFFE for a hyphen at a line's end, which pdfium gives as U+0002, a possible sign."""
    if "\x02" not in text:
        return text
    from pypdfium2 import raw

    kinds = [
        raw.FPDFText_IsHyphen(textpage, one) == 1
        for one in range(textpage.count_chars())
        if raw.FPDFText_GetUnicode(textpage, one) == 2
    ]
    if all(kinds) or len(kinds) != text.count("\x02"):
        return text.replace("\x02", "\ufffe")
    pieces = text.split("\x02")
    return "".join(
        piece + ("" if last else "\ufffe" if kind else "\x03")
        for piece, kind, last in zip(pieces, [*kinds, False], [False] * (len(pieces) - 1) + [True], strict=True)
    )
