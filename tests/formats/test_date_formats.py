"""Times that a sender writes in a way of its own: read strictly, and never as two dates."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.formats.date_formats import mistakes, moment_in


@pytest.mark.parametrize(
    ("form", "written", "meant"),
    [
        ("%d.%m.%Y", "01.02.1970", "1970-02-01"),
        ("%d.%m.%Y", "1.2.1970", "1970-02-01"),
        ("%d%m%Y", "01021970", "1970-02-01"),
        ("%d-%b-%Y", "01-FEB-1970", "1970-02-01"),
        ("%d.%m.%Y %H:%M", "01.02.1970 03:04", "1970-02-01T03:04:00Z"),
        ("%m/%d/%Y %I:%M:%S %p", "1/2/1970 3:04:05 PM", "1970-01-02T15:04:05Z"),
    ],
)
def test_a_time_is_read_as_its_format_says(form: str, written: str, meant: str) -> None:
    found = moment_in([form], written, UTC)
    assert found
    assert found.rfc3339() == meant


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("%d.%m.%Y", "31.02.1970"),
        ("%d.%m.%Y", "01.02.70"),
        ("%d.%m.%Y", "01.02.0970"),
        ("%d.%m.%Y", "01.02.1970 03:04"),
        ("%d.%m.%Y", "born 01.02.1970"),
        ("%d.%m.%Y", "\N{ARABIC-INDIC DIGIT ONE}.02.1970"),
        ("%d%m%Y", "1021970"),  # 1 February without its zero, or 10 February
        ("%d%m%Y", "1121970"),  # 1 December or 11 February
    ],
)
def test_what_does_not_fit_the_whole_format_is_no_time(form: str, written: str) -> None:
    assert moment_in([form], written, UTC) is None


def test_a_time_without_offset_is_that_of_the_sender() -> None:
    found = moment_in(["%d.%m.%Y", "%d.%m.%Y %H:%M"], "01.07.2026 12:00", ZoneInfo("Europe/Berlin"))
    assert found
    assert found.timed
    assert found.when.astimezone(UTC) == datetime(2026, 7, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "formats",
    [
        ["%d.%m.%Y", "%d.%m.%Y %H:%M", "%Y-%m-%d"],
        ["%d%m%Y"],  # nobody was born in month 19 or 20
        ["%m%d%Y"],
        ["%d-%b-%Y", "%d/%m/%Y %I:%M %p"],
        ["%Y%m%d"],
    ],
)
def test_formats_of_which_each_text_is_one_date_are_well(formats: list[str]) -> None:
    assert list(mistakes(formats)) == []


@pytest.mark.parametrize(
    ("formats", "number", "said"),
    [
        (["%Y%d%m"], 0, "19010201 would be read as 1901-01-02 and as 1901-02-01: no text may be two dates"),
        (["%d/%m/%Y", "%m/%d/%Y"], 1, "01/02/1901 would be read as 1901-01-02 and as 1901-02-01"),
        (["%d/%m/%Y %H", "%d/%m/%Y %I %p", "%m/%d/%Y %H"], 2, "would be read as"),
        (["%d%Y%m"], 0, "would be read as 1901-01-01 and as 0119-01-01"),  # by HL7's own way
        (["%Y-%m%d"], 0, "would be read as 1901-01-01 and as 1901"),  # a year and an offset
        (["%H%M%d%m%Y"], 0, "would be read as"),
    ],
)
def test_a_text_that_could_be_two_dates_is_a_mistake(formats: list[str], number: int, said: str) -> None:
    [(where, mistake)] = mistakes(formats)
    assert where == number
    assert said in mistake


@pytest.mark.parametrize(
    "form",
    ["%d.%m.%y", "%d.%m", "dd.mm.yyyy", "%d.%m.%Y %", "%d.%m.%Y %M", "%d.%m.%Y %I", "%d.%m.%Y %H %p", "%d%d%m%Y", "%s"],
)
def test_a_format_that_names_no_whole_date_is_a_mistake(form: str) -> None:
    [(where, mistake)] = mistakes([form])
    assert where == 0
    assert mistake.startswith("write %d, %m or %b, %Y")
