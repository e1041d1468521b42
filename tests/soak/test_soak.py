"""A short soak: `make soak` is the long one, which looks at the memory too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.soak.run import Held, plan, slope


def test_nothing_is_held_after_many_calls_over_faults() -> None:
    command = [sys.executable, "-m", "tests.soak.run", "--seconds", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 things wrong" in done.stdout


def test_a_tenth_of_the_calls_meet_something() -> None:
    plans = [plan(number) for number in range(2000)]
    odd = [each for each in plans if each.fault or each.once or each.left]

    assert len(odd) == 200
    assert {each.left for each in odd} == {None, "broken off", "dropped", "aborted"}
    assert sum(each.stream for each in plans) >= 500


def test_the_slope_is_bytes_a_call() -> None:
    assert slope([Held(calls, 1000 + 3 * calls, 0, 0, 0) for calls in (10, 20, 40)]) == 3.0
