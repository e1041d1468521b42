"""A short run of the fuzzer: `make fuzz` is the long one."""

from __future__ import annotations

import random

from tests.fuzz.run import TOKENS, mutate, report, run_range
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

    assert changed > 190
    assert len(set(TOKENS)) == len(TOKENS)


def test_every_kind_of_sample_of_every_dialect_is_there() -> None:
    kinds = {(sample.dialect, sample.kind) for sample in samples()}

    assert kinds == {
        (dialect, kind)
        for dialect in {sample.dialect for sample in samples()}
        for kind in ("stream", "whole", "error", "request")
    }
