"""Cut bytes in every way and feed them to a framer: the frames must not depend on the cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from polyvox.framing.base import Frame, Framer


def framed(make: Callable[[], Framer], pieces: Iterable[bytes]) -> list[Frame]:
    framer = make()
    frames: list[Frame] = []
    for piece in pieces:
        frames += framer.feed(piece)
    return frames + framer.close()


def whole(make: Callable[[], Framer], body: bytes) -> list[Frame]:
    return framed(make, [body])


def byte_by_byte(make: Callable[[], Framer], body: bytes) -> list[Frame]:
    return framed(make, (body[at : at + 1] for at in range(len(body))))


@st.composite
def cut(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> list[bytes]:
    """Pieces (some of them empty) that make up a body."""
    body = draw(bodies)
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
