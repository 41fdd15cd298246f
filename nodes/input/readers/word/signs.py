"""Signs of Word documents that are not typed letters: symbols of certain fonts, and the structure of formulas."""

from ..office.zip_package import Element, attribute, local

_GREEK = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ"
_SYMBOL = {
    **{0x41 + index: letter for index, letter in enumerate(_GREEK)},
    **{0x61 + index: letter for index, letter in enumerate("αβχδεφγηιϕκλμνοπθρστυϖωξψζ")},
    **dict(zip(range(0xA2, 0xB0), "′≤⁄∞ƒ♣♦♥♠↔←↑→↓", strict=True)),
    **dict(zip(range(0xB0, 0xC0), "°±″≥×∝∂•÷≠≡≈…⏐⎯↵", strict=True)),
    **dict(zip(range(0xC0, 0xD0), "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉", strict=True)),
    **dict(zip(range(0xD0, 0xE0), "∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓", strict=True)),
    0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "∗", 0x2D: "−", 0x40: "≅", 0x5C: "∴", 0x5E: "⊥", 0x7E: "∼",
    0xA0: "€", 0xA1: "ϒ", 0xE5: "∑", 0xF2: "∫",
}  # fmt: skip
_WINGDINGS = {
    0x21: "✏", 0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x4A: "☺", 0x4B: "😐", 0x4C: "☹", 0x6C: "●", 0x6E: "■", 0x6F: "□",
    0x71: "❑", 0x72: "❒", 0x75: "◆", 0x76: "❖", 0x77: "⬥", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "◻", 0xB7: "•",
    0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒",
    0xFE: "☑",
}  # fmt: skip
_WINGDINGS_2 = {0x50: "✓", 0x4F: "✗", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x97: "•", 0xA3: "□"}
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}


def symbol(element: Element) -> str:
    """Return the sign of a `w:sym` as a character, or its code and font in brackets if it is not known."""
    font, code = attribute(element, "font"), attribute(element, "char")
    try:
        number = int(code, 16)
    except ValueError:
        number = -1
    low = number & 0xFF
    private = 0xF000 <= number <= 0xF0FF
    if (private or 0 <= number <= 0xFF) and (known := _FONTS.get(font.lower(), {}).get(low)):
        return known
    if private and 0x20 <= low < 0x7F and "dings" not in font.lower():
        return chr(low)
    if 0x20 <= number < 0xD800 or 0xF900 <= number <= 0x10FFFF:
        return chr(number)
    return f"[symbol {code} of {font}]" if font else f"[symbol {code}]"


_AFTER = {"num": ")/", "den": ")", "sup": ")", "sub": ")", "deg": "]", "fName": " ", "mr": "; ", "eqArr": ""}
_BEFORE = {"num": "(", "den": "(", "sup": "^(", "sub": "_(", "deg": "[", "lim": " ", "acc": ""}


def formula_begin(element: Element) -> str:
    """Return what stands before the words of a part of a formula, such as the sign of a root or a sum."""
    name = local(element)
    if name in ("rad", "d", "nary"):
        own = next((one for one in element if local(one) == f"{name}Pr"), None)
        signs = {local(one): attribute(one, "val") for one in own} if own is not None else {}
        if name == "rad":
            return "√"
        return signs.get("begChr", "(") if name == "d" else signs.get("chr", "∫")
    if name == "e" and local(element.getparent()) == "rad":
        return "("
    if name in ("e",) and local(element.getparent()) in ("mr", "d", "eqArr"):
        previous = element.getprevious()
        separator = {"mr": ", ", "d": "|", "eqArr": "; "}[local(element.getparent())]
        return separator if previous is not None and local(previous) == "e" else ""
    return _BEFORE.get(name, "")


def formula_end(element: Element) -> str:
    """Return what stands behind the words of a part of a formula."""
    name = local(element)
    if name == "d":
        own = next((one for one in element if local(one) == "dPr"), None)
        signs = {local(one): attribute(one, "val") for one in own} if own is not None else {}
        return signs.get("endChr", ")")
    if name == "e" and local(element.getparent()) == "rad":
        return ")"
    return _AFTER.get(name, "")
