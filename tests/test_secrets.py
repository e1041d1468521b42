"""Keys never show: not in what is printed, formatted, copied or raised, nor when a server sends them back."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import time
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvox.secrets import MASK, Secret, sanitize, sanitize_headers

TEXT = "a-very-private-text"


def test_a_secret_is_masked_wherever_it_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    logging.getLogger("x").warning("%s %r %s", secret, secret, {"key": secret})
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>8}",
        format(secret, ""),
        "%s" % secret,  # noqa: UP031
        str([secret]),
        str({"key": secret}),
        pprint.pformat({"key": secret}),
        caplog.text,
    ]
    for text in shown:
        assert TEXT not in text
        assert MASK in text
    assert not hasattr(secret, "__dict__")


def test_only_reveal_gives_the_text() -> None:
    assert Secret(TEXT).reveal() == TEXT
    assert Secret(Secret(TEXT)).reveal() == TEXT
    assert bool(Secret("x")) and not Secret("")


def test_secrets_are_compared_and_hashed_by_their_text_and_are_no_strings() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT), Secret("other")}) == 2
    assert str(hash(Secret(TEXT))) != str(hash(TEXT))


def test_a_secret_is_not_written_anywhere() -> None:
    secret = Secret(TEXT)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode({"key": secret})
    with pytest.raises(TypeError):
        json.dumps({"key": secret})


def test_a_copied_configuration_keeps_its_secret() -> None:
    settings = {"key": Secret(TEXT)}
    assert copy.copy(settings["key"]) is settings["key"]
    assert copy.deepcopy(settings) == settings


def test_a_traceback_with_local_variables_shows_none() -> None:
    def fail(key: Secret) -> None:
        raise ValueError(f"failed with {key}")

    try:
        fail(Secret(TEXT))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "key = Secret('***')" in shown
    assert TEXT not in shown.replace(f"TEXT = {TEXT!r}", "")


# Made up, each in its maker's shape.
KEYS = {
    "openai": "sk-proj-" + "Ab3dE" * 8,
    "openai, old": "sk-" + "Ab3dE" * 8,
    "anthropic": "sk-ant-api03-" + "Ab3_dE-" * 8,
    "openrouter": "sk-or-v1-" + "0a1b2c3d" * 8,
    "groq": "gsk_" + "Ab3dE" * 10,
    "xai": "xai-" + "Ab3dE" * 16,
    "perplexity": "pplx-" + "Ab3dE" * 9,
    "hugging face": "hf_" + "AbCdE" * 7,
    "cerebras": "csk-" + "ab3de" * 9,
    "fireworks": "fw_" + "Ab3dE" * 5,
    "together": "tgp_v1_" + "Ab3_dE-" * 6,
    "nvidia": "nvapi-" + "Ab3_dE-" * 9,
    "replicate": "r8_" + "Ab3dE" * 8,
    "google": "AIza" + "Ab3_dE-" * 5,
    "google, newer": "AQ." + "Ab3_dE-" * 6,
    "zai": "0a1b2c3d" * 4 + "." + "AbCd1234" * 2,
    "google oauth": "ya29." + "Ab3_dE-" * 9,
    "aws id": "AKIA" + "ABCD1234" * 2,
    "aws session id": "ASIA" + "ABCD1234" * 2,
    "bedrock": "ABSK" + "Ab3+dE/" * 9 + "==",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "Ab3_dE-Ab3",
}
AROUND = ["{}", "key {} is wrong", "'{}'", '"{}"', "({})", "key={}", "key:{},", "KEY_{}", "<{}>", "x\n{}\ny", "**{}**"]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_known_by_its_shape_wherever_it_stands(name: str) -> None:
    key = KEYS[name]
    for form in AROUND:
        masked = sanitize(form.format(key))
        assert key[8:] not in masked, form
        assert masked == form.format(MASK), form


@pytest.mark.parametrize("key", ["0a1b2c3d" * 4, "AbCd1234" * 8, "2" * 40], ids=["azure", "mistral", "digits"])
def test_a_key_of_no_shape_is_known_by_where_it_stands(key: str) -> None:
    """Azure's, Mistral's and Together's older keys are hexadecimal digits, as so much else is."""
    for form in ("Bearer {}", "api-key: {}", "api_key={}&x=1", "'api_key': '{}'", "?key={}", "AZURE_OPENAI_API_KEY={}"):
        assert key not in sanitize(form.format(key)), form


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc123def", "Authorization: Bearer ***"),
        ("authorization: bearer " + "abcdef" * 5, "authorization: bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNz=", "Authorization: Basic ***"),
        ("GET https://x.y/v1?key=abc&alt=sse", "GET https://x.y/v1?key=***&alt=sse"),
        ("https://x.y/?a=1&api_key=abc", "https://x.y/?a=1&api_key=***"),
        ("https://x.y/?X-Amz-Signature=abc&X-Amz-Date=1", "https://x.y/?X-Amz-Signature=***&X-Amz-Date=***"),
        ("https://x.blob/y?sv=1&sig=a%2Fb", "https://x.blob/y?sv=1&sig=***"),
        ("proxy http://ann:word@host:8080/x", "proxy http://***@host:8080/x"),
        ("proxy https://token@host", "proxy https://***@host"),
        ('{"api_key": "0123456789abcdef"}', '{"api_key": "***"}'),
        ("api-key: 0123456789abcdef", "api-key: ***"),
        ("x-api-key=0123456789abcdef", "x-api-key=***"),
        ("client_secret='Ab3~dEf.gh'", "client_secret='***'"),
    ],
)
def test_credentials_are_known_by_where_they_stand(text: str, masked: str) -> None:
    assert sanitize(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Basic arithmetic is easy, and a basic understanding of it too.",
        "Missing bearer or basic authentication in header",
        "Bearer authentication required",
        "https://x.y/news/key-bitcoin-price-levels-to-watch-as-downward-pressure-builds",
        "no model fw-llama-v3p1-405b-instruct; there is hf_transformers-model-name",
        "https://x.y/xai-tmp-image-0a1b2c3d.jpeg",
        "api key: required; api_key: please set it",
        "password: please",
        "mailto: ann@example.com, see https://example.com/@ann",
        "the task sk-1 and AKIA",
        "eyJ is how tokens begin",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert sanitize(text) == text


def test_known_secrets_go_in_every_spelling() -> None:
    known = [Secret("pa/ss+word="), "plain-text-of-old"]
    text = "pa/ss+word= and pa%2Fss%2Bword%3D and plain-text-of-old"
    assert sanitize(text, known) == "*** and *** and ***"


def test_the_longest_known_secret_goes_first() -> None:
    assert sanitize("abcdefgh", [Secret("abcd"), Secret("abcdefgh")]) == MASK


def test_secrets_of_three_letters_would_mask_words() -> None:
    assert sanitize("the cat", [Secret("the"), Secret("")]) == "the cat"


@given(st.text(), st.text(alphabet="abcXYZ019/+=-_", min_size=8, max_size=30), st.text())
def test_no_known_secret_survives_in_any_text(before: str, secret: str, after: str) -> None:
    assert secret not in sanitize(before + secret + after, [Secret(secret)]).replace(MASK, "\0")


@given(st.text())
def test_sanitising_twice_changes_nothing(text: str) -> None:
    assert sanitize(sanitize(text)) == sanitize(text)


def test_headers_are_masked_by_name_whatever_their_case() -> None:
    headers = {
        "Authorization": "Bearer x",
        "Proxy-Authorization": "x",
        "API-Key": "x",
        "x-api-key": "x",
        "X-Goog-Api-Key": "x",
        "Cookie": "x",
        "Set-Cookie": "x",
        "X-Amz-Security-Token": "x",
        "Ocp-Apim-Subscription-Key": "x",
        "X-Request-Id": "req_1",
        "X-Echo": "it was " + KEYS["groq"],
        "X-Known": TEXT,
    }
    shown = sanitize_headers(headers, iter([Secret(TEXT)]))
    assert shown.pop("X-Request-Id") == "req_1"
    assert shown.pop("X-Echo") == "it was ***"
    assert set(shown.values()) == {MASK}
    assert headers["X-Known"] == TEXT


@pytest.mark.parametrize(
    "text", ["a-" * 50_000, "http://" + "a" * 50_000, "sk-" * 30_000, "bearer " * 20_000, "eyJ-" * 30_000]
)
def test_a_long_text_is_masked_in_good_time(text: str) -> None:
    """None of the patterns goes back over all it has read; that took 18 seconds once, and takes a tenth of one now."""
    started = time.process_time()
    assert len(sanitize(text)) <= len(text) + 3
    assert time.process_time() - started < 2
