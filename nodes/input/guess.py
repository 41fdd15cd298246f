"""Guesses the encoding of text that is not UTF-8 and does not say what it is, by the letters of languages.

Each encoding is tried with the languages that were written in it. A right reading consists of the letters that are
frequent in one language, in sensible places; a wrong one of rare letters, signs between letters, and capitals in the
middle of words. Samples are short: a table of ten words must do. What no language fits is left to charset-normalizer.
"""

from dataclasses import dataclass
from functools import cache

from charset_normalizer import from_bytes

from .encoding import RUN

_SIGNS = frozenset("…‘’‚“”„•–—€™\xa0¡£§©«®°±²´µ¶·»¿ªº½¼×№¢¥¤\x85")
"""Signs that occur in text of any language; other signs count against a reading."""
_CHINESE_SIGNS = frozenset("，。、；：？！（）《》“”‘’「」『』【】…—～·　％－＋／０１２３４５６７８９ＡＢＣ")
_LEAST = 0.42
"""The score below which no reading is believed."""
_ENOUGH_WORDS = 5
_SAMPLED = 300
"""Characters beyond ASCII that are looked at, at each end of the sample."""


@dataclass(frozen=True)
class _Language:
    """A language's letters beyond ASCII, the most frequent first, and the encodings that it was written in."""

    letters: str
    encodings: tuple[str, ...]
    latin: bool = False
    """Its other letters are ASCII."""
    wide: bool = False
    """Chinese, Japanese, Korean: `letters` are a part of thousands."""


_DOS = frozenset(["cp437", "cp737", "cp850", "cp852", "cp857", "cp862", "cp864", "cp866", "cp869"])
_WESTERN = ("cp1252", "iso8859_15", "cp850", "mac_roman")
_CENTRAL = ("cp1250", "iso8859_2", "cp852", "mac_latin2")
_CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5", "koi8_u", "mac_cyrillic")
_LATIN = (
    ("éàèêçùôâîûëïœüæÿ", _WESTERN),
    ("üäöß", _WESTERN),
    ("áóíéñúü", _WESTERN),
    ("ãçáéóõíêúâôà", _WESTERN),
    ("àèùòìé", _WESTERN),
    ("àéíòóèúçïü", _WESTERN),
    ("äåöé", _WESTERN),
    ("øåæé", _WESTERN),
    ("íáðéóþöæúý", _WESTERN),
    ("éëïóèöü", _WESTERN),
    ("ąęłóżśćńź", _CENTRAL),
    ("íáéěýřčžšůúťóňď", _CENTRAL),
    ("áíčéýžšúľťôóňďäŕĺ", _CENTRAL),
    ("éáöőóüíúű", _CENTRAL),
    ("ăîâţş", (*_CENTRAL, "iso8859_16")),
    ("čšžćđ", _CENTRAL),
    ("ıişğüçöİâî", ("cp1254", "iso8859_9", "cp857")),
    ("āīēšļūņžķģč", ("cp1257", "iso8859_13", "iso8859_4")),
    ("ėųšįąžūčę", ("cp1257", "iso8859_13", "iso8859_4")),
    ("äõüöšž", ("cp1257", "iso8859_13", "iso8859_15")),
)
_OTHERS = (
    ("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёъ", _CYRILLIC),
    ("оаинтеівркслмудпязьгбчйхжїшюцєщфґ", ("cp1251", "koi8_u", "iso8859_5", "cp866")),
    ("аиоетнрсвлкдпмзугябъчйщшжцхюфьэ", _CYRILLIC),
    ("аоиенрстујвкдмлпзгбчшћхцжњљфђџ", ("cp1251", "iso8859_5")),
    ("αοιετσνηυρπκμλςωόίάγδέήχθύφώβξζψϊϋΐ", ("cp1253", "iso8859_7", "cp737", "cp869")),
    ("יוהלאמרתשבנדעםקחפכטגצןךץסזףׁ", ("cp1255", "iso8859_8", "cp862")),
    ("المينرتوبةعدسفكهقحجأىصشطإضذخزغءثؤئآظ،ًپچگکیژ؛؟", ("cp1256", "iso8859_6", "cp864")),
    ("านรอกเงมยลวดทสตะปบคหแจพชขใไโผถณศซธภษฎฐฆฉฟฝัีิู่้็์ำึืุๆฯ", ("cp874",)),
)
_WIDE = (
    (
        "的一是了不在有人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而"
        "方后多定行学法所民得经三之进着等部度家电力里如水化高自二理起小现实加量都两体制机当使点从业本去把性好应"
        "开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向"
        "道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题退款投诉登录账号容编品客户订单价格付请收",
        "gb18030",
    ),
    (
        "的一是了不在有人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而"
        "方後多定行學法所民得經三之進著等部度家電力裡如水化高自二理起小現實加量都兩體制機當使點從業本去把性好應"
        "開它合還因由其些然前外天政四日那社義事平形相全表間樣與關各重新線內數正心反你明看原又麼利比或但質氣第向"
        "道命此變條只沒結解問意建月公無系軍很情者最立代想已通並提直題退款投訴登錄帳號容編品客戶訂單價格付請收",
        "big5hkscs",
    ),
    (
        "日本人大年一中国会出上生時分行社者前的子見東合学長事地対場今度部自同市発国間新高小手力理明気定業方回"
        "入金表内話文言下田通立円目来当実気民関意家天月語車体",
        "cp932",
    ),
    (
        "이다의는에을가고하지로한도기사리를은서대자인나어시있수해그보일라만정아과들으전니구부주제원것게상면여동오"
        "유장요성조적선스소와신마무국공비안트계내우생까했세문화할치모경거물야연회실용관합었말되분명설방년없개금입",
        "cp949",
    ),
)


def single_bytes(sample: bytes) -> str:
    """Return the encoding of words among UTF-8 text, if there are enough, and one byte of them is one letter.

    `cp1252` otherwise.
    """
    name = guess(sample) if len(RUN.findall(sample)) >= _ENOUGH_WORDS else ""
    wide = name in ("", "euc_jp", *(encoding for _, encoding in _WIDE))
    return "cp1252" if wide else name


def guess(sample: bytes) -> str:
    """Return the most likely encoding of a sample that is not UTF-8 and begins and ends between characters.

    `cp1252` when nothing fits.
    """
    # Of equal scores the more common encoding's, which comes first.
    name, score = max(_scores(sample), key=lambda one: one[1])
    if score >= _LEAST:
        return name
    other = from_bytes(sample, cp_isolation=sorted(_encodings())).best()
    return other.encoding if other and other.encoding not in ("ascii", "utf_8") else "cp1252"


def _scores(sample: bytes) -> list[tuple[str, float]]:
    """Return the score of each encoding's best language, the encodings by how common they are."""
    scores: list[tuple[str, float]] = []
    for name, languages in _encodings().items():
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            if name != "cp1252":
                continue
            text = sample.decode(name, "replace")
        high = [at for at, char in enumerate(text) if char > "\x7f"]
        if high:
            high = high[:_SAMPLED] + high[max(_SAMPLED, len(high) - _SAMPLED) :]
            scores.append((name, _prior(name) + max(_score(text, high, language) for language in languages)))
    return scores or [("cp1252", 0.0)]


def _prior(name: str) -> float:
    """Return what an encoding gains because it is the most common one, or loses because hardly any file is in it."""
    return 0.04 if name == "cp1252" else -0.08 if name.startswith("mac") or name in _DOS else 0.0


def _score(text: str, high: list[int], language: _Language) -> float:
    """Return how well the characters of `text` at `high` fit a language: 1 at best."""
    weights = _weights(language)
    if language.wide:
        return sum(weights.get(text[at], _in_wide(text[at], language)) for at in high) / len(high)
    total = 0.0
    for at in high:
        char = text[at]
        weight = weights.get(char, -1.0)
        if weight > 0 and char.isalpha():
            weight -= _misplaced(text, at, language)
        total += weight
    return total / len(high)


def _misplaced(text: str, at: int, language: _Language) -> float:
    """Return what a letter loses for its neighbours."""
    char = text[at]
    before = text[at - 1] if at else " "
    after = text[at + 1] if at + 1 < len(text) else " "
    if char.isupper() and before.islower():
        return 1.5
    if language.latin:
        # Three accented letters in a row are nearly always another alphabet.
        crowded = before > "\x7f" and before.isalpha() and after > "\x7f" and after.isalpha()
        capital = char.isupper() and after.islower() and before.isalpha()
        return 1.2 if crowded or capital else 0.0
    return 1.5 if _ascii_letter(before) or _ascii_letter(after) else 0.0


def _ascii_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()


def _in_wide(char: str, language: _Language) -> float:
    """Return the weight of a character of Chinese, Japanese or Korean text that is not a frequent one."""
    kana = "\u3041" <= char <= "\u30fc"
    hangul = "\uac00" <= char <= "\ud7a3"
    if "\u4e00" <= char <= "\u9fff":
        return -0.3 if "이" in language.letters else 0.45
    if hangul or kana:
        ours = "이" if hangul else "円"
        return (1.0 if kana else 0.5) if ours in language.letters else -1.0
    return -1.0


@cache
def _weights(language: _Language) -> dict[str, float]:
    """Return the weight of each expected character."""
    weights = dict.fromkeys(_SIGNS, 0.35)
    if language.wide:
        return dict.fromkeys(_CHINESE_SIGNS, 0.8) | dict.fromkeys(language.letters, 1.0)
    for rank, char in enumerate(language.letters):
        weight = 1.0 - (0.3 if language.latin else 0.9) * rank / len(language.letters)
        weights[char.upper()[0]] = weight - 0.05
        weights[char] = weight
    return weights


@cache
def _encodings() -> dict[str, list[_Language]]:
    """Return the encodings with their languages, the more common encodings first."""
    found: dict[str, list[_Language]] = {}
    languages = [_Language(letters, encodings, latin=True) for letters, encodings in _LATIN]
    languages += [_Language(letters, encodings) for letters, encodings in _OTHERS]
    languages += [_Language(letters, (encoding,), wide=True) for letters, encoding in _WIDE]
    languages.append(_Language(_WIDE[2][0], ("euc_jp",), wide=True))
    for place in range(max(len(one.encodings) for one in languages)):
        for one in languages:
            if place < len(one.encodings):
                found.setdefault(one.encodings[place], []).append(one)
    return found
