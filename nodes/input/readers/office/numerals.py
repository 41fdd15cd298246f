"""Numbers as the numbering of office documents writes them."""

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CHINESE = "〇一二三四五六七八九"
_ALPHABETS = {
    "lowerLetter": "abcdefghijklmnopqrstuvwxyz",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "hebrew2": "אבגדהוזחטיכלמנסעפצקרשת",
    "arabicAlpha": "أبتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "ganada": "가나다라마바사아자차카타파하",
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "aiueoFullWidth": "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    "irohaFullWidth": "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセス",
}
_LARGEST_SPELLED = 999_999
_LONGEST_REPEAT = 40
"""Letters repeat beyond the end of the alphabet (z, aa); a number that would need more is written in digits."""


def numeral(number: int, form: str) -> str:
    """Return a number in one of the formats of ECMA-376 (`lowerRoman`), in digits for one that is not known."""
    if form in ("none", "bullet"):
        return ""
    if form in ("upperLetter", "upperRoman", "russianUpper"):
        return numeral(number, form.replace("upper", "lower").replace("Upper", "Lower")).upper()
    if alphabet := _ALPHABETS.get(form):
        repeats = (number - 1) // len(alphabet) + 1
        return (
            alphabet[(number - 1) % len(alphabet)] * repeats
            if number > 0 and repeats <= _LONGEST_REPEAT
            else f"{number}"
        )
    if form == "lowerRoman":
        return _roman(number)
    if form.startswith("decimalZero"):
        return f"{number:02}"
    if form == "decimalEnclosedCircle" and 0 < number <= 20:
        return chr(0x245F + number)
    if form == "numberInDash":
        return f"- {number} -"
    if form == "hex":
        return f"{number:X}"
    if form in ("chineseCounting", "taiwaneseCounting", "japaneseCounting", "chineseCountingThousand"):
        return _chinese(number)
    return _english(number, form)


def _english(number: int, form: str) -> str:
    if form == "ordinal":
        last = number % 10 if number // 10 % 10 != 1 else 0
        return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"
    if form in ("cardinalText", "ordinalText") and 0 <= number <= _LARGEST_SPELLED:
        words = _spelled(number)
        return (_ordinal(words) if form == "ordinalText" else words).capitalize()
    return str(number)


def _roman(number: int) -> str:
    if not 0 < number < 40_000:
        return str(number)
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def _chinese(number: int) -> str:
    if not 0 < number < 100:
        return "".join(_CHINESE[int(digit)] for digit in str(abs(number)))
    tens, ones = divmod(number, 10)
    return (_CHINESE[tens] if tens > 1 else "") + ("十" if tens else "") + (_CHINESE[ones] if ones else "")


def _spelled(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    value, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = f" {_spelled(number % value)}" if number % value else ""
    return f"{_spelled(number // value)} {name}{rest}"


def _ordinal(words: str) -> str:
    cut = max(words.rfind("-"), words.rfind(" ")) + 1
    last = words[cut:]
    return words[:cut] + _ORDINALS.get(last, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
