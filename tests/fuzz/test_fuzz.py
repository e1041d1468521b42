"""A short run of the fuzzer: `make fuzz` is the long one."""

from __future__ import annotations

import random

import pytest

from polyvox import PolyvoxError
from tests.fuzz.run import TOKENS, mutate, report, run_range, through_codec
from tests.fuzz.samples import samples


def test_only_typed_errors_come_of_spoilt_answers() -> None:
    lines: list[str] = []
    found = run_range(20261121, 0, 2500)

    assert report(found, lines.append), "\n".join(lines)
    assert len({each.word for each in found}) > 5


def test_the_fuzzer_does_the_same_for_the_same_seed() -> None:
    first, second = run_range(3, 10, 40), run_range(3, 10, 40)

    assert [(each.word, each.sample) for each in first] == [(each.word, each.sample) for each in second]


def test_a_mutation_changes_something() -> None:
    chance = random.Random(1)
    data = b"data: {}\n\n" * 20
    changed = sum(mutate(chance, data, b"other" * 50) != data for _ in range(200))

    assert changed > 150
    assert len(set(TOKENS)) == len(TOKENS)


def test_every_kind_of_sample_of_every_dialect_is_there() -> None:
    kinds = {(sample.dialect, sample.kind) for sample in samples()}

    assert kinds == {
        (dialect, kind)
        for dialect in {sample.dialect for sample in samples()}
        for kind in ("stream", "whole", "error", "request")
    }


@pytest.mark.parametrize("nested", [b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 5000])
def test_nesting_without_end_is_a_typed_error_on_every_wire(nested: bytes) -> None:
    """Each name of each sample in turn holds it: some are read past, the others are refused."""
    met = set()
    for sample in {(each.dialect, each.kind): each for each in reversed(samples())}.values():
        for place in range(min(40, sample.data.count(b'":'))):
            *head, tail = sample.data.split(b'":', place + 1)
            try:
                through_codec(sample, [b'":'.join(head) + b'":' + nested + b"," + tail])
            except PolyvoxError as error:
                met.add(type(error).__name__)
    assert "DecodeError" in met
