"""The pytest fixture: a cassette for each test, beside it, played unless it is to be recorded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polyvox.testing.server import FaultServer

TESTS = """
import pytest
from polyvox import Client

LAB = {{"lab": {{"base_url": "{url}", "api_key": "sk-none-needed-for-playing"}}}}

@pytest.mark.parametrize("word", ["sky", "sea / shore"])
def test_blue(polyvox_cassette, word):
    with Client(providers=LAB, io=polyvox_cassette) as client:
        assert client.generate("lab/m", word).text == "It is blue."
"""
CALL = 'client.generate("lab/m", word).text == "It is blue."'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "polyvox.testing.plugin", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of a user's, with its cassettes recorded."""
    with FaultServer("It is blue.") as server:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_colours.py").write_text(TESTS.format(url=server.base_url()))
        recorded = run(tmp_path, "--polyvox-record")
        assert "2 passed" in recorded.stdout, recorded.stdout
        assert server.request_count == 2
    return tmp_path


def test_cassettes_stand_beside_the_tests_and_are_played(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "cassettes").iterdir())

    assert names == ["test_colours.test_blue[sea_shore].json", "test_colours.test_blue[sky].json"]
    assert "2 passed" in run(folder).stdout  # the server is gone


def test_a_recorded_request_that_is_not_made_is_told_where_the_test_passed(folder: Path) -> None:
    file = folder / "test_colours.py"
    text = file.read_text()
    file.write_text(text.replace(CALL, "word"))
    passing = run(folder, "-k", "sky")
    file.write_text(text.replace(CALL, "not word"))
    failing = run(folder, "-k", "sky")

    assert "1 passed, 1 deselected, 1 error" in passing.stdout
    assert "1 recorded requests of test_colours.test_blue[sky].json were not made" in passing.stdout
    assert "1 failed, 1 deselected" in failing.stdout
    assert "were not made" not in failing.stdout


def test_without_a_cassette_the_test_says_how_to_make_one(folder: Path) -> None:
    next((folder / "cassettes").glob("*sky*")).unlink()
    played = run(folder)

    assert "1 failed, 1 passed" in played.stdout
    assert "record it first" in played.stdout


def test_whoever_does_not_use_the_fixture_does_not_pay_for_it(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\ndef test_nothing():\n"
        "    assert not {'polyvox.client', 'aiohttp', 'urllib3', 'polyvox.testing.recording'} & set(sys.modules)\n"
    )

    assert "1 passed" in run(tmp_path).stdout


def test_the_plugin_is_known_to_pytest_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="pytest11", name="polyvox.testing.plugin")
    assert point.load().__name__ == "polyvox.testing.plugin"
