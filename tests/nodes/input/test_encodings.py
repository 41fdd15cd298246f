"""Encodings are guessed from short texts, declared ones are used, and the user's is."""

import pytest

from durable_rlm.nodes.input.delimiter import delimiter
from durable_rlm.nodes.input.draft import Unusable
from durable_rlm.nodes.input.text import Decoding, decoded, utf8_chunks
from durable_rlm.state.input.encoding_names import known_encoding, lookup, shown

TEXTS = [
    ("Le café est très bon à Noël, déjà vu où ça ? « Voilà » — l’été.", "cp1252 iso8859_15 mac_roman cp850"),
    ("cœur et sœur, prix 5 € à payer", "cp1252 iso8859_15"),
    ("Übergrößenträger kosten für Größe 5 mehr, schöne Grüße aus München", "cp1252 cp850 mac_roman"),
    ("El niño comió piñas en España mañana, ¿qué pasó?", "cp1252 cp850 mac_roman"),
    ("A ação não é ilegal; à mão, três irmãos", "cp1252"),
    ("Zażółć gęślą jaźń. Proszę bardzo, to jest dłuższy tekst.", "cp1250 iso8859_2 cp852"),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "cp1250 iso8859_2 cp852"),
    ("Árvíztűrő tükörfúrógép. A szerződés az aláírás napján lép hatályba.", "cp1250 iso8859_2"),
    ("Договор аренды. Срок действия один год.", "cp1251 koi8_r cp866 iso8859_5"),
    ("id,имя\n1,Иванов\n2,Петров\n", "cp1251 koi8_r cp866"),
    ("ДОГОВОР АРЕНДЫ ПОМЕЩЕНИЯ И ПОЛУЧЕНИЕ ОПЛАТЫ", "cp1251 koi8_r cp866"),
    ("Договір набирає чинності з моменту підписання. Її строк – один рік.", "cp1251 koi8_u"),
    ("Η σύμβαση τίθεται σε ισχύ από την ημερομηνία υπογραφής της", "cp1253 iso8859_7"),
    ("החוזה נכנס לתוקף ביום החתימה ותקף לשנה אחת", "cp1255"),
    ("يدخل العقد حيز التنفيذ من تاريخ التوقيع، وهو صالح لمدة سنة", "cp1256 iso8859_6"),
    ("สัญญามีผลบังคับใช้ตั้งแต่วันที่ลงนาม และมีอายุหนึ่งปี", "cp874"),
    ("Sözleşme imza tarihinde yürürlüğe girer ve bir yıl geçerlidir", "cp1254"),
    ("Līgums stājas spēkā parakstīšanas dienā, un tas ir derīgs vienu gadu", "cp1257"),
    ("Sutartis įsigalioja pasirašymo dieną ir galioja vienerius metus", "cp1257"),
    ("编号,投诉内容\n1,退款一直没有到账\n2,无法登录\n", "gbk"),
    ("合同自签字之日起生效，有效期一年。", "gb2312"),
    ("合約自簽字之日起生效，有效期一年。客戶投訴內容：退款沒有到帳", "big5"),
    ("番号,内容\n1,返金されない\n2,ログインできません\n", "cp932 euc_jp iso2022_jp"),
    ("계약은 서명한 날부터 효력이 발생하며 유효기간은 일년이다", "euc_kr"),
    ("中文文本在这里。\n编号12，内容\n", "utf-16-le utf-16-be utf-32-le utf-32-be"),
    ("id,text\n1,refund\n2,login\n", "utf-16-le utf-16-be"),
    ("Привет, мир\n", "utf-16-le utf-16-be"),
]
CASES = [(text, name) for text, names in TEXTS for name in names.split()]


@pytest.mark.parametrize(("text", "name"), CASES, ids=[f"{name}-{text[:8]}" for text, name in CASES])
def test_the_encoding_of_a_sentence_is_guessed_and_said(text: str, name: str) -> None:
    for data in (text.encode(name, "ignore"), (text + "\n").encode(name, "ignore") * 300):
        result, encoding, phrases = decoded(data)
        assert result == data.decode(name)
        assert phrases == [f"encoding guessed: {encoding}"]
        assert data.decode(lookup(encoding) if not encoding.startswith(("UTF", "Mac")) else name) == result


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b'<?xml version="1.0" encoding="ISO-8859-2"?><p>\xaelu\xbbou\xe8k\xfd</p>', "Žluťoučký", "ISO-8859-2"),
        (b'<?xml version="1.0" encoding="ISO-8859-15"?><p>price 5 \xa4</p>', "price 5 €", "ISO-8859-15"),
        (b'<html><head><meta charset="windows-1251">\xcf\xf0\xe8\xe2\xe5\xf2', "Привет", "Windows-1251"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">\xba\xcf\xcd\xac', "合同", "GB18030"),
        (b"#!/usr/bin/python\n# -*- coding: koi8-r -*-\n# \xd1\xda\xd9\xcb\n", "язык", "KOI8-R"),
        (b'@charset "iso-8859-7";\n/* \xe1\xe2 */', "αβ", "ISO-8859-7"),
        (b'<?xml version="1.0" encoding="gbk"?><p>\xc2\xa3</p>', "拢", "GB18030"),
    ],
)
def test_a_declared_encoding_is_used_without_a_note(data: bytes, text: str, encoding: str) -> None:
    result, used, phrases = decoded(data)
    assert text in result
    assert (used, phrases) == (encoding, [])


def test_a_declaration_that_is_wrong_is_not_used_and_noted() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><p>größer – 日本語</p>'
    assert decoded(text.encode()) == (text, "UTF-8", ["declared as Windows-1252, but is UTF-8"])
    assert decoded("Grüße".encode("cp1252"), "euc-jp") == (
        "Grüße",
        "Windows-1252",
        ["declared as EUC-JP, but is not", "encoding guessed: Windows-1252"],
    )
    assert decoded("Grüße".encode("cp1252"), "x-unknown")[0] == "Grüße"


def test_the_containers_declaration_comes_before_the_texts_own() -> None:
    assert decoded(b"# coding: koi8-r\n\xe4\xf6", "iso-8859-1")[:2] == ("# coding: koi8-r\näö", "Windows-1252")


def test_a_byte_order_mark_overrules_everything() -> None:
    assert decoded(b"\xef\xbb\xbf" + "Привет".encode("koi8_r"), "koi8-r")[:2] == ("ðÒÉ×ÅÔ", "UTF-8")
    data = "é".encode("utf-16")
    decoding = Decoding("koi8-r", "windows-1251")
    assert b"".join(chunk for chunk, _ in utf8_chunks(iter([data]), print, decoding)).decode() == "é"
    assert decoding.encoding == "UTF-16"


@pytest.mark.parametrize(
    ("wanted", "data", "text", "remarks"),
    [
        ("koi8-r", "Grüße".encode("cp1252"), "GrЭъe", []),
        ("utf-8", b"caf\xe9 \xc3\xa9", "café é", ["1 byte is not UTF-8; read as Windows-1252"]),
        ("utf-8", "Привет".encode("koi8_r"), "ðÒÉ×ÅÔ", ["6 bytes are not UTF-8; read as Windows-1252"]),
        ("ascii", b"caf\xe9", "café", []),
        (
            "euc_jp",
            b"a" * 20 + b"\xff\xffb",
            "a" * 20 + "\ufffd\ufffdb",
            ["2 places are not valid EUC-JP; shown as U+FFFD"],
        ),
        ("cp037", "hello".encode("cp037"), "hello", []),
        ("utf-16-be", "añb".encode("utf-16-be"), "añb", []),
    ],
)
def test_the_users_encoding_is_used_for_all_of_the_text(
    wanted: str, data: bytes, text: str, remarks: list[str]
) -> None:
    found: list[str] = []
    chunks = utf8_chunks(iter([data]), found.append, Decoding(wanted=wanted))
    assert (b"".join(chunk for chunk, _ in chunks).decode(), found) == (text, remarks)


def test_data_that_is_no_text_in_the_users_encoding_is_refused() -> None:
    with pytest.raises(Unusable, match="a binary file"):
        list(utf8_chunks(iter([bytes(range(32)) * 9]), print, Decoding(wanted="latin-1")))


def test_names_of_encodings_are_understood_and_shown_as_people_write_them() -> None:
    labels = ["latin1", "ISO_8859-1", "Windows-1251", "x-sjis", "gb2312", "KOI8-R", "utf8", "ks_c_5601-1987", "cp-866"]
    assert [shown(lookup(label)) for label in labels] == [
        "Windows-1252",
        "Windows-1252",
        "Windows-1251",
        "Shift JIS",
        "GB18030",
        "KOI8-R",
        "UTF-8",
        "EUC-KR",
        "CP866",
    ]
    assert [lookup(label) for label in ("", "x-unknown", "base64", "rot13", "idna", "é", "a\0b", "x" * 99)] == [""] * 8


def test_an_unknown_name_is_an_error_with_similar_ones() -> None:
    known_encoding("")
    known_encoding("latin-1")
    with pytest.raises(ValueError, match=r"no encoding named koi8; similar are"):
        known_encoding("koi8")
    with pytest.raises(ValueError, match=r"some are utf-8"):
        known_encoding("%%%")


@pytest.mark.parametrize(
    ("rows", "sign"),
    [
        (b"id,text\n1,a; b; c\n2,d\n", ","),
        (b"id;price\n1;1,50\n2;2,75\n", ";"),
        (b"a\tb\n1\t2,3\n", "\t"),
        (b"a|b\n1|x,y\n2|z\n", "|"),
        (b'id,"a;b;c"\n1,"x;y\n;z"\n', ","),
        (b"one column\n", ","),
        (b"", ","),
        (b"name,note\n" + b"Smith,a\n" * 9000, ","),
    ],
)
def test_the_delimiter_is_what_every_row_has_as_often(rows: bytes, sign: str) -> None:
    assert delimiter(rows) == sign
