"""Elements of SVG as HTML."""

from collections.abc import Iterable

from markupsafe import Markup

_TITLE = Markup("><title>{}</title></rect>")
_TEXT = Markup('<text class="{}" x="{:.2f}%" y="{:g}" text-anchor="{}">{}</text>')
_LINE = Markup('<line class="{}" x1="{:.2f}%" x2="{:.2f}%" y1="{:g}" y2="{:g}"/>')
_LINK = Markup('<a tabindex="-1" aria-label="{}" href="{}">{}</a>')
_PICTURE = Markup('<svg class="{}" role="{}" aria-label="{}" width="100%" height="{:g}">{}</svg>')


def rect(css: str, x: float, y: float, width: float, height: float, *, title: str = "", radius: float = 0) -> Markup:
    """Return a rectangle: `x` and `width` in per cent, `y` and `height` in pixels."""
    rounded = f' rx="{radius:g}"' if radius else ""
    # Numbers and names of classes: nothing to escape, and of these there are thousands.
    drawn = f'<rect class="{css}" x="{x:.2f}%" y="{y:g}" width="{width:.2f}%" height="{height:g}"{rounded}'
    return Markup(drawn) + (_TITLE.format(title) if title else Markup("/>"))


def words(css: str, x: float, y: float, said: str, anchor: str = "middle") -> Markup:
    """Return a text at a place."""
    return _TEXT.format(css, x, y, anchor, said)


def line(css: str, x: float, until: float, y: float, y_until: float) -> Markup:
    """Return a line."""
    return _LINE.format(css, x, until, y, y_until)


def link(address: str, label: str, drawn: Markup) -> Markup:
    """Return what leads somewhere when it is clicked; the same is in a list that the keyboard reaches."""
    return _LINK.format(label, address, drawn)


def picture(css: str, label: str, height: float, drawn: Iterable[Markup], *, linked: bool = False) -> Markup:
    """Return a picture with the sentence that says the same. `linked`: parts of it are links."""
    return _PICTURE.format(css, "group" if linked else "img", label, height, Markup("").join(drawn))
