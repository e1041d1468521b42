"""Stream events, and the grammar that every decoder keeps.

    turn = StreamStart ( UsageUpdate | PartStart(i) Delta(i)* PartEnd(i), parts may interleave )* StreamEnd
    run  = ( StepStart(step) turn ToolDone(result)* StepEnd(step, response) )+      (a tool loop)

- Indexes count from 0 in the order of `PartStart`; every started part ends; no delta comes outside its part.
- `PartStart.part` holds what is known at the start: an empty text, reasoning or file part, a `ToolCall` with its id and
  name (a decoder waits until the name is known), or the whole part for sources, results, executed calls and opaque
  parts, which get no deltas (an executed call may get `ToolCallDelta`s).
- `PartEnd.meta` is the part's whole `meta`: it replaces what `PartStart.part` had, where it is not empty.
- `UsageUpdate` and `StreamEnd.usage` are totals so far: the last one wins, never added. `StreamEnd.usage` is `None`
  where no usage came after the last update.
- Choices other than 0 do not appear as parts: they are folded aside and stand in `StreamEnd.alternatives`.
- A whole answer is one such list, made by `fold.unfold`, whose `StreamEnd.response` is the decoded object itself.
- Events are handed on in lists, one list a read. Errors are raised, never events.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct, field

from polyvox.types.generate import Adjustment, Alternative, Finish, GenerateResponse
from polyvox.types.parts import Meta, Part, Source, TokenLogprob, ToolResult
from polyvox.types.usage import Usage


class StreamStart(Struct, frozen=True, tag="stream_start", omit_defaults=True):
    """The answer begins. `id` and `model` are what the wire said first; `provider` is stamped by the call."""

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    adjustments: tuple[Adjustment, ...] = ()


class UsageUpdate(Struct, frozen=True, tag="usage", omit_defaults=True):
    """Totals so far."""

    usage: Usage


class PartStart(Struct, frozen=True, tag="part_start", omit_defaults=True):
    """A part begins, with what is known of it."""

    index: int
    part: Part


class TextDelta(Struct, frozen=True, tag="text", omit_defaults=True, gc=False):
    """More text of part `index`. `logprobs` are those of these tokens, where asked for."""

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None


class ReasoningDelta(Struct, frozen=True, tag="reasoning", omit_defaults=True, gc=False):
    """More reasoning of part `index`."""

    index: int
    text: str


class ToolCallDelta(Struct, frozen=True, tag="tool_call", omit_defaults=True, gc=False):
    """More of the JSON text (or the custom tool's text) of call `index`."""

    index: int
    arguments: str


class FileDelta(Struct, frozen=True, tag="file", omit_defaults=True, gc=False):
    """More bytes of file `index`."""

    index: int
    data: bytes


class SourceDelta(Struct, frozen=True, tag="source", omit_defaults=True):
    """A citation on the text of part `index`."""

    index: int
    source: Source


class PartEnd(Struct, frozen=True, tag="part_end", omit_defaults=True):
    """The part is whole."""

    index: int
    meta: Meta = field(default_factory=dict)


class StreamEnd(Struct, frozen=True, tag="stream_end", omit_defaults=True):
    """The answer is whole. `response` is given where the answer was never streamed."""

    finish: Finish | None = None
    usage: Usage | None = None
    adjustments: tuple[Adjustment, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    meta: Meta = field(default_factory=dict)
    response: GenerateResponse[Any] | None = None


class RawFrame(Struct, frozen=True, tag="raw"):
    """The bytes of one frame as received: only with `stream(raw=True)`."""

    data: bytes


class StepStart(Struct, frozen=True, tag="step_start"):
    """A step of a tool loop begins; `step` counts from 1."""

    step: int


class ToolDone(Struct, frozen=True, tag="tool_done"):
    """A tool has run."""

    result: ToolResult


class StepEnd(Struct, frozen=True, tag="step_end"):
    """A step of a tool loop is over; `response` is its answer."""

    step: int
    response: GenerateResponse[Any]


Event: TypeAlias = (
    StreamStart
    | UsageUpdate
    | PartStart
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | FileDelta
    | SourceDelta
    | PartEnd
    | StreamEnd
    | RawFrame
    | StepStart
    | ToolDone
    | StepEnd
)
