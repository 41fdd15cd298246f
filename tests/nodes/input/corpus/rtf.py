"""RTF with a sentence in every part that it has."""

from collections.abc import Callable
from random import Random

from . import Planted, Sample, sentence

_PARTS: dict[str, tuple[str, str]] = {
    "body": (r"\pard {}\par ", ""),
    "bold": (r"{{\b {}}}\par ", ""),
    "cell": (r"\trowd\intbl {}\cell x\cell\row\pard ", ""),
    "nested cell": (r"\trowd\intbl\itap2 {}\nestcell{{\*\nesttableprops\trowd\nestrow}}\cell\row\pard ", ""),
    "footnote": (r"x{{\footnote\pard {{\super\chftn}} {}}}\par ", ""),
    "endnote": (r"x{{\footnote\ftnalt {}}}\par ", ""),
    "comment": (r"x{{\*\atnid A}}{{\*\atnauthor Ann}}\chatn{{\*\annotation {{\*\atndate 7}}{}}}\par ", ""),
    "header": (r"{{\header {}\par}}", ""),
    "first header": (r"{{\headerf {}\par}}", ""),
    "footer": (r"{{\footer {}\par}}", ""),
    "hidden": (r"{{\v {}}}\par ", ""),
    "struck": (r"{{\strike {}}}\par ", ""),
    "deleted": (r"{{\deleted {}}}\par ", ""),
    "inserted": (r"{{\revised {}}}\par ", ""),
    "list": (r"{{\listtext {}\tab}}item\par ", ""),
    "field": (r"{{\field{{\*\fldinst DATE}}{{\fldrslt {}}}}}\par ", ""),
    "form field": (r"{{\*\formfield{{\fftype2{{\*\ffl {}}}}}}}\par ", ""),
    "text box": (r"{{\shp{{\*\shpinst{{\sp{{\sn fLine}}{{\sv 0}}}}{{\shptxt {}\par}}}}{{\shprslt x}}}}\par ", ""),
    "old text box": (r"{{\*\do\dobxcolumn\dptxbx{{\dptxbxtext {}\par}}}}\par ", ""),
    "alternative": (r"{{\*\shppict{{\pict{{\*\picprop{{\sp{{\sn wzDescription}}{{\sv {}}}}}}}00}}}}\par ", ""),
    "word art": (r"{{\shp{{\*\shpinst{{\sp{{\sn gtextUNICODE}}{{\sv {}}}}}}}}}\par ", ""),
    "object": (r"{{\object\objemb{{\*\objdata 00}}{{\result {}}}}}\par ", ""),
    "index": (r"x{{\xe {}}}\par ", "index"),
    "unknown": (r"{{\*\strangerthings {}}}\par ", "unknown"),
    "unknown text": (r"{{\strangerthings {}}}\par ", ""),
    "variable": (r"{{\*\docvar {{name}}{{{}}}}}", "variable"),
    "mathematics": (r"{{\mmath{{\*\moMath{{\mr {}}}}}}}\par ", ""),
    "twin": (r"{{\upr{{old}}{{\*\ud{{{}}}}}}}\par ", ""),
}
_INFORMATION = ("title", "subject", "author", "keywords", "doccomm", "company", "manager", "category")


def samples(random: Random) -> list[Sample]:
    """Make a file with some of the parts in any order; facts are in the metadata, which counts as text."""
    planted: list[Planted] = []
    ways: list[Callable[[str], str]] = [str, _in_hexadecimal, _in_unicode]
    body = ""
    for part in random.sample(sorted(_PARTS), random.randint(5, len(_PARTS))):
        pattern, loss = _PARTS[part]
        text = sentence(random, part.replace(" ", ""))
        planted.append(Planted(text, part, loss))
        body += pattern.format(random.choice(ways)(text) if part != "form field" else text)
    facts = "".join(f"{{\\{name} {name} of it}}" for name in _INFORMATION)
    styles = r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\*\cs10 Default Paragraph Font;}}"
    head = r"\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}}{\colortbl;\red0\green0\blue0;}"
    data = f"{{\\rtf1{head}{styles}{{\\info{facts}}}{body}}}"
    return [Sample("text.rtf", data.encode("ascii"), planted)]


def _in_hexadecimal(text: str) -> str:
    return "".join(f"\\'{ord(sign):02x}" for sign in text)


def _in_unicode(text: str) -> str:
    return "".join(f"\\u{ord(sign)} ?" for sign in text)
