"""PDF as text, page by page, by pdfium; pypdf is a second reader for the pages at which pdfium looks wrong.

Each physical page is a place, also an empty one. Behind a page's text stand its form fields, comments and links, each
on a line that begins with a word in brackets. Files that are attached become documents of their own.
"""

import time
from contextlib import closing

from .....state.wording import counted, megabytes
from ...draft import Draft, GivenFile, Read, Skipped, Unusable
from .attached import Attached, collect
from .extras import Extras, hidden_fields, signatures
from .open import OpenFile
from .outline import Outline, describe, hidden_layers, labels, outline
from .pages import Page, PageLosses, PageReader
from .second import NotTried, in_short
from .streams import DAMAGED, SYNTAX, WRONG
from .text import pages_in_words

_LARGEST_FILE = 384 << 20
_LARGEST_TEXT = 200 << 20
"""Characters from one file, below what the reader process gives back."""
_SECONDS = 45.0
"""CPU time for the pages of one file, below what the reader process has."""
_PAGES_IN_MEMORY = 2_000
"""pdfium keeps what it has seen of each page, some KB, until a file is closed."""
_XFA = (2, 3)


def read(given: GivenFile) -> Read:
    """Yield the document, then its attachments.

    Raises ImportError without pypdfium2, Unusable for a file that is protected, too large, or has no text at all.
    """
    if given.size > _LARGEST_FILE:
        raise Unusable(f"too large (over {_LARGEST_FILE >> 20} MiB)", "Split it, or save its text first.")
    data = given.file.read()
    started = time.process_time()
    opened = OpenFile(data, given.options.passwords)
    draft = Draft("PDF")
    attached = Attached(draft)
    with closing(opened):
        text = _Document(opened, draft, attached, started).write()
    if text:
        yield draft
    else:
        reason = _why_empty(draft, given.size)
        if not attached.files:
            raise reason
        yield Skipped("", reason.reason, given.size, reason.hint)
    for name, inside in attached.files.items():
        yield from given.nested(name, inside, "")


def _why_empty(draft: Draft, size: int) -> Unusable:
    losses = "; ".join(draft.all_losses())
    facts = f"It has {counted(draft.meta['pages'], 'page')} in {megabytes(size)}{f': {losses}' if losses else ''}."
    if "cannot be read" in losses and " without text" not in losses:
        return Unusable("a damaged PDF", facts)
    return Unusable("a PDF without text", f"{facts} Run a text recognition (OCR) over it first.")


class _Document:
    """Writes one document page by page."""

    def __init__(self, opened: OpenFile, draft: Draft, attached: Attached, started: float) -> None:
        self._opened = opened
        self._draft = draft
        self._attached = attached
        self._deadline = started + _SECONDS
        self._next_look = 0.0
        self._losses = PageLosses()
        self._reader = PageReader(opened.streams, opened.second, self._losses)
        self._images: list[int] = []
        self._stamped: list[int] = []
        self._drawings: list[int] = []
        self._blank: list[int] = []
        self._unread: list[int] = []
        self._has_text = False
        self._outline = Outline({}, [])
        self._labels: list[str] = []
        self._unseen_titles: list[str] = []

    def write(self) -> bool:
        """Write everything; return whether there was any text."""
        if self._opened.loss:
            self._draft.lose(self._opened.loss)
        pages = self._number_of_pages()
        self._draft.meta["pages"] = pages
        extras = self._facts(pages)
        done = self._pages(pages, extras)
        self._after_pages(extras)
        self._note(pages, done)
        return self._has_text

    def _number_of_pages(self) -> int:
        """Return the number of pages. A forged one is too small or too large; the second reader counts them."""
        stated = len(self._opened.document)
        if self._opened.streams.page_objects == stated:
            return stated
        really = self._opened.second.pages
        if 0 < really < stated and not self._opens(stated - 1):
            self._draft.lose(f"the file counts {stated:,} pages and has {really:,}")
            return really
        return max(stated, really)

    def _opens(self, number: int) -> bool:
        from pypdfium2 import PdfiumError

        try:
            self._opened.document[number].close()
        except PdfiumError:
            return False
        return True

    def _facts(self, pages: int) -> Extras:
        """Read what concerns the whole document: metadata, labels, outline, attachments."""
        opened, meta = self._opened, self._draft.meta
        document = opened.document
        describe(document, meta)
        if found := labels(document, min(pages, len(document))):
            self._labels = found
            meta["page_labels"] = found
        self._outline = outline(document)
        collect(document, self._attached)
        if document.get_formtype() in _XFA:
            self._draft.not_shown("XFA form")
        if b"/Collection" in opened.streams.features and self._attached.files:
            meta["portfolio"] = True
        if b"/OCProperties" in opened.streams.features and (hidden := hidden_layers(opened.second)):
            meta["hidden_layers"] = hidden
        return Extras(self._draft, document, self._attached)

    def _pages(self, pages: int, extras: Extras) -> int:
        """Write the pages while there is time; return how many were."""
        for number in range(pages):
            if self._is_over() or self._draft.chars > _LARGEST_TEXT:
                return number
            if number and number % _PAGES_IN_MEMORY == 0:
                self._opened.reopen()
                extras.document = self._opened.document
            self._page(number, extras)
        return pages

    def _is_over(self) -> bool:
        """Return whether the time is used up. The CPU clock, which may be slow to read, is read every 10 ms."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + 0.01
        return time.process_time() > self._deadline

    def _page(self, number: int, extras: Extras) -> None:
        label = self._labels[number] if number < len(self._labels) else ""
        self._draft.mark("pages", label)
        found, lines = self._read(number, extras)
        for applies, numbers in (
            (found.is_image, self._images),
            (found.is_stamped_image, self._stamped),
            (found.is_drawing, self._drawings),
            (found.is_blank, self._blank),
        ):
            if applies:
                numbers.append(number + 1)
        text = found.text.strip("\n")
        self._unseen_titles += self._outline.write(self._draft, number, text + "\n" if text.strip() else "")
        self._draft.write("".join(f"{line}\n" for line in lines))
        self._has_text = self._has_text or bool(text.strip()) or bool(lines)

    def _read(self, number: int, extras: Extras) -> tuple[Page, list[str]]:
        from pypdfium2 import PdfiumError

        reason = "the page tree is damaged"
        document = self._opened.document
        if number < len(document):
            try:
                with closing(document[number]) as page, closing(page.get_textpage()) as textpage:
                    found = self._reader.read(page, textpage, number)
                    described = b"/Alt" in self._opened.streams.features and document.is_tagged()
                    return found, extras.of_page(page, textpage, found.text, described=described)
            except PdfiumError as error:
                reason = in_short(error)
        found = self._reader.read_by_second(number, reason)
        if found is None:
            self._losses.add(number + 1, f"cannot be read ({reason})")
        return found or Page(), []

    def _after_pages(self, extras: Extras) -> None:
        """Write what belongs to no page: fields without a place, titles of the outline that the text does not have."""
        lines = list(signatures(self._opened.document))
        if self._opened.document.get_formtype():
            try:
                lines += hidden_fields(self._opened.second, extras.fields)
            except NotTried:
                self._draft.lose("form fields that are on no page not read")
        lines += [f"[outline] {title}" for title in [*self._unseen_titles, *self._outline.elsewhere] if title]
        self._draft.write("".join(f"{line}\n" for line in lines))

    def _note(self, pages: int, done: int) -> None:
        """Put into the draft what is missing from the text."""
        draft = self._draft
        if self._blank:
            draft.meta["blank_pages"] = self._blank
        for numbers, one, many in (
            (self._images, "is an image without text", "are images without text"),
            (self._stamped, "is an image with little text", "are images with little text"),
            (self._drawings, "is a drawing without text", "are drawings without text"),
        ):
            if numbers:
                draft.lose(f"{pages_in_words(numbers)} {one if len(numbers) == 1 else many}")
        for phrase in self._losses.phrases():
            draft.lose(phrase)
        if done < pages:
            limit = "too much text" if draft.chars > _LARGEST_TEXT else f"they need over {_SECONDS:.0f} s of CPU time"
            draft.lose(f"{pages_in_words(range(done + 1, pages + 1))} not read: {limit}")
        if self._outline.cut:
            draft.lose("the outline is longer than what is read of it")
        images = self._opened.streams.images - len(self._images) - len(self._stamped)
        draft.not_shown("image", max(images, 0))
        self._note_other_objects()

    def _note_other_objects(self) -> None:
        """Note damage to what is no page's content: fonts, drawings that pages share."""
        flaws = self._opened.streams.flaws
        damaged: list[int] = []
        reasons: set[str] = set()
        for number in sorted(set(flaws) - self._reader.seen_flaws):
            reason = flaws[number]
            if reason == SYNTAX and number not in self._opened.streams.drawings:
                continue  # the content of no page
            if reason == SYNTAX:
                try:
                    reason = self._opened.second.fault(number)
                except NotTried as error:
                    reason = str(error)
            if reason:
                damaged.append(number)
                reasons.add(DAMAGED if reason == WRONG else reason)
        if damaged:
            noun = "part of the file" if len(damaged) == 1 else "parts of the file"
            self._draft.lose(f"{len(damaged):,} {noun} cannot be read ({'; '.join(sorted(reasons)[:3])})")
