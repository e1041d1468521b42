"""The pytest plugin: a cassette for each test that asks for one.

The rule: nothing is imported before a test asks for the fixture; whoever does not use it does not notice it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from polyvox.testing.recording import Cassette, Mode

_NO_NAME = re.compile(r"[^\w\-.\[\]=+]+")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--polyvox-record`."""
    parser.getgroup("polyvox").addoption(
        "--polyvox-record",
        nargs="?",
        const="record",
        default="replay",
        choices=("auto", "record", "replay", "off"),
        help="record the cassettes of polyvox_cassette anew; or auto, replay (when not given), off",
    )


@pytest.fixture
def polyvox_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """A cassette for `Client(io=polyvox_cassette)`: `cassettes/MODULE.TEST.json` beside the test's file.

    Played, and recorded with `pytest --polyvox-record`. A test that passed and did not make every recorded request
    fails at its end.
    """
    from polyvox.testing.recording import Cassette

    name = _NO_NAME.sub("_", request.node.name)
    path = request.path.parent / "cassettes" / f"{request.path.stem}.{name}.json"
    failures = request.session.testsfailed
    with Cassette(path, cast("Mode", request.config.getoption("--polyvox-record"))) as cassette:
        # A call recorded with whatever key is played with none: tests need no keys.
        yield cassette
        if request.session.testsfailed != failures:
            cassette.strict = False
