"""Ranges of uploads and of blobs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven_registry.oci.errors import RangeInvalid, RangeUnsatisfiable
from haven_registry.oci.http_ranges import (
    MAX_RANGES,
    ByteRange,
    format_content_range,
    format_unsatisfied_range,
    format_upload_range,
    parse_content_range,
    parse_range,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-0", (0, 0)),
        ("0-1023", (0, 1023)),
        ("bytes 1024-2047", (1024, 2047)),
        ("bytes=5-9", (5, 9)),
        ("5-9/10", (5, 9)),
        ("bytes 5-9/*", (5, 9)),
        (" 5-9 ", (5, 9)),
        (f"0-{2**63 - 1}", (0, 2**63 - 1)),
    ],
)
def test_content_ranges_of_chunks(header: str, expected: tuple[int, int]) -> None:
    assert parse_content_range(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "5",
        "5-",
        "-5",
        "9-5",
        "a-b",
        "0-9\n",
        "0-9,20-29",
        "+1-5",
        "0x1-5",
        "٠-٩",
        "octets 0-9",
        f"0-{2**63}",
        "0-" + "9" * 5000,
    ],
)
def test_bad_content_ranges(header: str) -> None:
    with pytest.raises(RangeInvalid) as refused:
        parse_content_range(header)

    assert refused.value.code == "RANGE_INVALID"


@pytest.mark.parametrize(("received", "expected"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1024, "0-1023")])
def test_the_range_of_an_upload_names_its_last_byte(received: int, expected: str) -> None:
    assert format_upload_range(received) == expected


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_content_ranges_round_trip(one: int, other: int) -> None:
    start, end = sorted((one, other))
    assert parse_content_range(f"{start}-{end}") == (start, end)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=500-1499", [(500, 1000)]),
        ("bytes=500-", [(500, 1548)]),
        ("bytes=-500", [(1548, 500)]),
        ("bytes=2000-5000", [(2000, 48)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=-9999", [(0, 2048)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes=0-99, 200-299", [(0, 100), (200, 100)]),
        ("bytes=,0-99,,\t-1,", [(0, 100), (2047, 1)]),
        ("bytes=0-0,5000-6000,9-8", [(0, 1)]),
        ("bytes=1-" + "9" * 5000, [(1, 2047)]),
        ("bytes=" + "0" * 5000 + "1-1", [(1, 1)]),
    ],
)
def test_satisfiable_ranges(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse_range(header, 2048) == expected


@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes=-0,9999-"])
def test_unsatisfiable_ranges(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        parse_range(header, 2048)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=0-1,x", "bytes=0", "bytes=--1",
        "bytes=0-1-2",
        "bytes=0 - 1", "items=0-1", "bytes 0-1", "bytes=0-1\n", "bytes=٠-١",
        "bytes=0-,0-", "bytes=0-2047,0-0", "bytes=" + "0-0," * (MAX_RANGES + 1),
    ],
)  # fmt: skip
def test_ignored_ranges(header: str | None) -> None:
    assert parse_range(header, 2048) is None


def test_as_many_pieces_as_a_partial_pull_asks_for() -> None:
    header = "bytes=" + ",".join(f"{i * 2}-{i * 2}" for i in range(MAX_RANGES))

    assert parse_range(header, 2048) == [ByteRange(i * 2, 1) for i in range(MAX_RANGES)]


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=-1", "bytes=0-", "bytes=9-8"])
def test_an_empty_blob_is_sent_whole(header: str) -> None:
    assert parse_range(header, 0) is None


def test_the_headers_of_206_and_416() -> None:
    assert format_content_range(ByteRange(500, 1000), 2048) == "bytes 500-1499/2048"
    assert format_unsatisfied_range(2048) == "bytes */2048"


def expected_positions(spec: tuple[int | None, int | None], length: int) -> list[int]:
    """The bytes one range-spec selects, said as slowly and plainly as RFC 9110 does."""
    first, last = spec
    if first is None:
        assert last is not None
        return [position for position in range(length) if position >= length - last]
    return [position for position in range(length) if position >= first and (last is None or position <= last)]


positions = st.integers(0, 40)
specs = st.one_of(st.tuples(positions, positions), st.tuples(positions, st.none()), st.tuples(st.none(), positions))


@given(st.lists(specs, min_size=1, max_size=4), st.integers(1, 30))
def test_ranges_agree_with_a_plain_reading(asked: list[tuple[int | None, int | None]], length: int) -> None:
    header = "bytes=" + ", ".join(
        f"{'' if first is None else first}-{'' if last is None else last}" for first, last in asked
    )
    selected = [chosen for spec in asked if (chosen := expected_positions(spec, length))]

    if not selected:
        with pytest.raises(RangeUnsatisfiable):
            parse_range(header, length)
    elif sum(map(len, selected)) > length:
        assert parse_range(header, length) is None
    else:
        ranges = parse_range(header, length)
        assert ranges is not None
        assert [list(range(start, start + size)) for start, size in ranges] == selected


@given(st.text("bytes=0123456789-, \t\nx", max_size=40) | st.text(), st.integers(0, 2**63 - 1))
def test_any_header_gives_ranges_within_the_blob(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            ranges = parse_range(header, length)
        except RangeUnsatisfiable:
            continue
        for start, size in ranges or []:
            assert 0 <= start < start + size <= length


def test_a_long_header_costs_little() -> None:
    started = time.process_time()
    parse_range("bytes=" + "," * 1_000_000, 10)
    parse_range("bytes=0-" + "9" * 1_000_000, 10)
    assert time.process_time() - started < 0.5
