"""What importing the package costs others: nothing they did not ask for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import polyvox

HEAVY = ("aiohttp", "urllib3", "xllamacpp", "rich", "asyncio", "typer", "tenacity", "ssl", "importlib.metadata")


def loaded_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_http_library() -> None:
    bare = loaded_after("pass")

    assert not {name for name in loaded_after("import polyvox") - bare if name in HEAVY}


def test_making_a_client_loads_no_http_library() -> None:
    bare = loaded_after("pass")

    found = loaded_after("from polyvox import Client, AsyncClient; Client()") - bare
    assert not {name for name in found if name in HEAVY}


def test_every_public_name_is_there_and_listed() -> None:
    assert len(polyvox.__all__) == len(set(polyvox.__all__))
    assert set(polyvox.__all__) == {"__version__", *polyvox._MODULE_OF}
    for name in polyvox.__all__:
        assert getattr(polyvox, name) is not None
    assert set(dir(polyvox)) == set(polyvox.__all__)


def test_type_checkers_are_told_of_the_same_names() -> None:
    """What stands under `TYPE_CHECKING` is what is loaded on first use, from the same modules."""
    tree = ast.parse(Path(polyvox.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        name.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if name.asname == name.name
    }

    assert told == {name: f"polyvox.{module}" for name, module in polyvox._MODULE_OF.items()}


def test_every_word_of_a_configuration_has_its_kind_at_hand() -> None:
    """Whatever stands in a `CallConfig`, a `ProviderConfig` or a `Config` is imported from `polyvox` itself."""
    named = re.compile(r"\b[A-Z][A-Za-z]+\b")
    words = {
        word
        for kind in (polyvox.CallConfig, polyvox.ProviderConfig, polyvox.EndpointConfig, polyvox.Config)
        for annotation in kind.__annotations__.values()
        for word in named.findall(str(annotation))
    }
    ours = {"Off", "PreProcessor", "PostFactory", "SignFunction", "Auth"}  # aliases and protocols: nobody makes one
    theirs = {"None", "Any", "Literal", "Mapping", "Sequence", "Callable"}

    assert words - ours - theirs <= set(polyvox.__all__)
    assert {"Retry", "Fallback", "Budget", "Balance", "RateLimit", "Breaker", "Timeout"} <= words


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    try:
        polyvox.nonsense  # type: ignore[attr-defined]  # noqa: B018
    except AttributeError as error:
        assert "nonsense" in str(error)
    else:
        raise AssertionError("no error")


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert polyvox.__version__ == version("polyvox")
