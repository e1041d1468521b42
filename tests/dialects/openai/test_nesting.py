"""JSON nested without end: found by `make fuzz`."""

from __future__ import annotations

import pytest

from polyvox.dialects.openai.chat.stream import StreamDecoder
from polyvox.errors import DecodeError
from polyvox.framing.base import Frame


@pytest.mark.parametrize("member", [b'"choices":', b'"usage":', b'"error":'])
def test_nesting_without_end_is_an_error_of_this_wire(member: bytes) -> None:
    with pytest.raises(DecodeError):
        StreamDecoder().feed(Frame(b"{" + member + b'{"a":' * 5000))
    with pytest.raises(DecodeError):
        StreamDecoder().feed(Frame(b"{" + member + b"[" * 5000))
