"""What failures of every wire have in common, and that every wire keeps to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from polyvox.dialects._failures import shown, shown_body, wait_of
from polyvox.errors import OverloadedError, RateLimitError, ServerError
from tests.laws.table import ROWS, Row

each_wire = pytest.mark.parametrize("row", ROWS, ids=repr)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_of(headers) == seconds


def test_a_date_is_so_many_seconds_away() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    seconds = wait_of({"retry-after": date})
    assert seconds is not None and 80 < seconds <= 91


def test_what_is_shown_is_masked_cut_and_whole() -> None:
    assert "sk-proj" not in shown("bad key sk-proj-0123456789abcdefghijklmnop")
    assert len(shown("x" * 5000)) == 2000
    assert shown("half \ud83d").encode()
    assert shown("") == "the provider reported an error without saying why"


def test_a_body_that_is_no_json_says_what_it_can() -> None:
    assert (
        shown_body(502, b"<html><title>502 Bad\nGateway</title>")
        == "the server answered with a web page: 502 Bad Gateway"
    )
    assert shown_body(500, b" upstream is gone ") == "upstream is gone"
    for nothing in (b"", b"  ", b"null"):
        assert shown_body(500, nothing) == "the provider answered 500 without saying why"


@each_wire
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (500, ServerError), (529, OverloadedError)])
def test_every_wire_reads_a_page_and_a_wait(row: Row, status: int, kind: type) -> None:
    error = row.dialect.decode_error(status, {"Retry-After": "4"}, b"<html><body>No luck</body></html>")
    assert (type(error), error.status, error.retry_after) == (kind, status, 4.0)
    assert error.message == "the server answered with a web page: No luck"


@each_wire
def test_no_figure_of_a_providers_makes_a_call_wait_for_ever(row: Row) -> None:
    assert row.dialect.decode_error(429, {"retry-after": "inf"}, b"{}").retry_after is None
