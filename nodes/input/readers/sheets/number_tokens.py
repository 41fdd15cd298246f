"""The signs of a number format: `[Red]#,##0.00 "€";-0` as sections of tokens."""

import re
from typing import NamedTuple


class Token(NamedTuple):
    """One sign of a number format."""

    kind: str
    """`literal`, `digit`, `point`, `comma`, `percent`, `exponent`, `slash`, `text`, `general`,
    `condition` or `date`."""
    text: str
    """The characters of a literal; the sign itself of others, in lower case for dates: `yyyy`, `[h]`, `am/pm`."""


_SIGNS = re.compile(
    r"""
    "(?P<quoted>[^"]*)"?
    | \\(?P<escaped>.)
    | (?P<spacer>[_*].)
    | \[(?P<bracket>[^\]]*)\]?
    | (?P<general>general)
    | (?P<meridian>am/pm|a/p|上午/下午)
    | (?P<exponent>e[+-])
    | (?P<date>y+|m+|d+|h+|s+|g+|e+|b{2,4}|a{3,4})
    | (?P<digit>[0#?])
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_OTHERS = {".": "point", ",": "comma", "%": "percent", "/": "slash", "@": "text"}
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)


def sections(code: str) -> list[list[Token]]:
    """Return the sections of a format, which are separated by semicolons."""
    found: list[list[Token]] = [[]]
    for match in _SIGNS.finditer(code):
        if match.lastgroup == "end":
            found.append([])
        elif token := _token(match):
            found[-1].append(token)
    return [_settled(part) for part in found]


def _token(match: "re.Match[str]") -> Token | None:
    kind, text = str(match.lastgroup), match[str(match.lastgroup)]
    match kind:
        case "quoted" | "escaped":
            return Token("literal", text)
        case "bracket":
            return _bracket(text)
        case "general" | "exponent" | "digit":
            return Token(kind, text)
        case "meridian":
            return Token("date", "a/p" if text.lower() == "a/p" else "am/pm")
        case "date":
            return Token("date", text.lower())
        case "other":
            return Token(_OTHERS.get(text, "literal"), text)
        case _:
            return None


def _bracket(text: str) -> Token | None:
    """Return a currency, a condition, a duration; colours and languages are not shown."""
    if text.startswith("$"):
        sign = text[1:].partition("-")[0]
        return Token("literal", sign) if sign else None
    if text[:1] in ("<", ">", "="):
        return Token("condition", text)
    if _ELAPSED.fullmatch(text):
        return Token("date", f"[{text.lower()}]")
    return None


def _settled(part: list[Token]) -> list[Token]:
    """Return a section in which signs mean what they mean beside the others."""
    if any(token.kind == "date" for token in part):
        # Points, commas and slashes separate; digits are fractions of a second.
        return [
            Token("literal", token.text) if token.kind in ("comma", "slash", "percent", "exponent") else token
            for token in part
        ]
    settled: list[Token] = []
    for token in part:
        # `?/8`: a denominator of digits that are no placeholders.
        digit = token.kind == "literal" and token.text.isdigit()
        in_fraction = any(one.kind == "slash" for one in settled)
        if token.kind == "slash" and not any(one.kind == "digit" for one in settled):
            settled.append(Token("literal", "/"))
        elif token.kind == "digit" and token.text == "0" and in_fraction and settled[-1].text.isdigit():
            settled.append(Token("literal", "0"))
        else:
            settled.append(Token("literal", token.text) if digit else token)
    return settled
