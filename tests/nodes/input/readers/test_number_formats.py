"""Numbers are shown as spreadsheets show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.input.readers.sheets.number_formats import BUILT_IN, number_format, plain


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("yyyy-mm-dd", 46053, "2026-01-31"),
        ("yyyy-mm-dd h:mm:ss", 46081.52083333334, "2026-02-28 12:30:00"),
        ("d mmmm yyyy", 46053, "31 January 2026"),
        ("dddd, d. mmm yy", 46053, "Saturday, 31. Jan 26"),
        ("[$-409]d-mmm-yy;@", 46053, "31-Jan-26"),
        (r"yyyy\-mm\-dd\ hh:mm", 60.5, "1900-02-29 12:00"),
        ("yyyy-mm-dd", 59, "1900-02-28"),
        ("yyyy-mm-dd", 61, "1900-03-01"),
        ("h:mm AM/PM", 0.75, "6:00 PM"),
        ("h:mm AM/PM", 0.0, "12:00 AM"),
        ("mm:ss.0", 0.0012345, "01:46.7"),
        ("[h]:mm", 1.5, "36:00"),
        ("[h]:mm:ss", 100.25, "2406:00:00"),
        ("[mm]:ss", 0.1, "144:00"),
        ("[h]:mm", -1.5, "-36:00"),
        ("yyyy", 1e12, "1000000000000"),
        ("yyyy-mm-dd", -3, "-3"),
        ("0.0%", 0.1235, "12.4%"),
        ("0.0%", 100, "10000.0%"),
        ("00000", 123, "00123"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ("(000) 000-0000", 5551234567, "(555) 123-4567"),
        ("#,##0.00", 1234567.891, "1,234,567.89"),
        ("#,##0.00;[Red]-#,##0.00", -1234.5, "-1,234.50"),
        ("$#,##0.00_);($#,##0.00)", -1234.5, "($1,234.50)"),
        (r'_-* #,##0.00\ "€"_-;-* #,##0.00\ "€"_-', -5.5, "-5.50 €"),
        ("[$€-407] #,##0.00", 12, "€ 12.00"),
        ('0,,"M"', 12345678, "12M"),
        ("0.##", 5.5, "5.5"),
        ("#.##", 0.5, ".5"),
        ("0.00", -0.001, "0.00"),
        ("0.00", 2.675, "2.68"),
        ("0", 0.5, "1"),
        ("# ?/?", 2.25, "2 1/4"),
        ("# ??/??", 0.3333, "1/3"),
        ("?/8", 2.25, "18/8"),
        ("# ?/?", 3, "3"),
        ("0.00E+00", 123456, "1.23E+05"),
        ("0.00E+00", 9.999, "1.00E+01"),
        ("##0.0E+0", 123456, "123.5E+3"),
        ("[<1]0.00;[>=100]0;0.0", 150, "150"),
        ("[<1]0.00;[>=100]0;0.0", 50, "50.0"),
        ('0;-0;"none"', 0, "none (0)"),
        ('"yes";"no"', -1, "no (-1)"),
        ('General "units"', 5, "5 units"),
        ("General", 0.1 + 0.2, "0.3"),
        ("@", 5, "5"),
        ("", 1e20, "1E+20"),
    ],
)
def test_a_number_is_shown_by_its_format(code: str, value: float, shown: str) -> None:
    assert number_format(code).number(value) == shown


def test_days_are_counted_from_1904_where_the_workbook_says_so() -> None:
    assert number_format("yyyy-mm-dd", since_1904=True).number(0) == "1904-01-01"
    assert number_format("yyyy-mm-dd", since_1904=True).number(44591) == "2026-01-31"


def test_a_format_that_shows_nothing_does_not_hide_the_number() -> None:
    assert number_format(";;;").number(4200) == "4200"
    assert number_format(";;;").text("words") == "words"


def test_texts_have_a_section_of_their_own() -> None:
    assert number_format('0;-0;0;"<"@">"').text("words") == "<words>"
    assert number_format("0.00").text("words") == "words"


@given(st.text('0#?.,%/@E+-ymdhs[]"\\;$ _*AP', max_size=12), st.floats(allow_nan=False))
def test_every_format_shows_every_number_somehow(code: str, value: float) -> None:
    assert number_format(code).number(value)
    assert number_format(code, since_1904=True).text("x")


@given(st.floats(-1e9, 1e9), st.sampled_from(["0.00", "#,##0.0", "0.000"]))
def test_the_fast_way_agrees_with_the_general_one(value: float, code: str) -> None:
    general = number_format(f"{code}\\x;-{code}\\x").number(value).removesuffix("x")
    assert number_format(code).number(value).lstrip("-") == general.lstrip("-")


def test_every_built_in_format_shows_a_number() -> None:
    for code in BUILT_IN.values():
        assert number_format(code).number(46053.5)


def test_a_number_without_a_format_has_at_most_fifteen_digits() -> None:
    assert plain(46081.52083333334) == "46081.5208333333"
    assert plain(250.0) == "250"
