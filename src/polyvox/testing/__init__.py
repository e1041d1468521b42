"""For the tests of programs that use Polyvox: a server that fails on demand, recorded calls, doubles of the network.

The rule: nothing is imported before it is asked for, so that the pytest plugin costs nobody anything.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyvox.testing.cassette import CassetteError as CassetteError
    from polyvox.testing.connection import Received as Received
    from polyvox.testing.entries import Entry as Entry
    from polyvox.testing.entries import catalogue as catalogue
    from polyvox.testing.faults import BadGzip as BadGzip
    from polyvox.testing.faults import BillingExhausted as BillingExhausted
    from polyvox.testing.faults import CloseDelimited as CloseDelimited
    from polyvox.testing.faults import CutAfter as CutAfter
    from polyvox.testing.faults import DuplicateIndex as DuplicateIndex
    from polyvox.testing.faults import EmptyBody as EmptyBody
    from polyvox.testing.faults import EndAfter as EndAfter
    from polyvox.testing.faults import ErrorAfterFinish as ErrorAfterFinish
    from polyvox.testing.faults import Fault as Fault
    from polyvox.testing.faults import GarbageFrames as GarbageFrames
    from polyvox.testing.faults import HeaderDrip as HeaderDrip
    from polyvox.testing.faults import HeaderStall as HeaderStall
    from polyvox.testing.faults import HtmlErrorPage as HtmlErrorPage
    from polyvox.testing.faults import HugeLine as HugeLine
    from polyvox.testing.faults import InvalidJson as InvalidJson
    from polyvox.testing.faults import LateUsage as LateUsage
    from polyvox.testing.faults import LongLength as LongLength
    from polyvox.testing.faults import NoEndMark as NoEndMark
    from polyvox.testing.faults import OverloadMidStream as OverloadMidStream
    from polyvox.testing.faults import RateLimited as RateLimited
    from polyvox.testing.faults import RedirectLoop as RedirectLoop
    from polyvox.testing.faults import RefuseConnection as RefuseConnection
    from polyvox.testing.faults import ResetAfter as ResetAfter
    from polyvox.testing.faults import ResetOnAccept as ResetOnAccept
    from polyvox.testing.faults import ServerFault as ServerFault
    from polyvox.testing.faults import SlowDrip as SlowDrip
    from polyvox.testing.faults import SplitUTF8 as SplitUTF8
    from polyvox.testing.faults import StallAfter as StallAfter
    from polyvox.testing.faults import Together as Together
    from polyvox.testing.faults import TrailingBytes as TrailingBytes
    from polyvox.testing.faults import Unauthorized as Unauthorized
    from polyvox.testing.faults import UnknownEvents as UnknownEvents
    from polyvox.testing.faults import WrongContentType as WrongContentType
    from polyvox.testing.recording import Cassette as Cassette
    from polyvox.testing.recording import Recorder as Recorder
    from polyvox.testing.recording import Replayer as Replayer
    from polyvox.testing.recording import record as record
    from polyvox.testing.recording import record_replay as record_replay
    from polyvox.testing.recording import replay as replay
    from polyvox.testing.server import FaultServer as FaultServer

_HOMES: dict[str, tuple[str, ...]] = {
    "cassette": ("CassetteError",),
    "connection": ("Received",),
    "entries": ("Entry", "catalogue"),
    "faults": (
        "BadGzip",
        "BillingExhausted",
        "CloseDelimited",
        "CutAfter",
        "DuplicateIndex",
        "EmptyBody",
        "EndAfter",
        "ErrorAfterFinish",
        "Fault",
        "GarbageFrames",
        "HeaderDrip",
        "HeaderStall",
        "HtmlErrorPage",
        "HugeLine",
        "InvalidJson",
        "LateUsage",
        "LongLength",
        "NoEndMark",
        "OverloadMidStream",
        "RateLimited",
        "RedirectLoop",
        "RefuseConnection",
        "ResetAfter",
        "ResetOnAccept",
        "ServerFault",
        "SlowDrip",
        "SplitUTF8",
        "StallAfter",
        "Together",
        "TrailingBytes",
        "Unauthorized",
        "UnknownEvents",
        "WrongContentType",
    ),
    "recording": ("Cassette", "Recorder", "Replayer", "record", "record_replay", "replay"),
    "server": ("FaultServer",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BadGzip",
    "BillingExhausted",
    "Cassette",
    "CassetteError",
    "CloseDelimited",
    "CutAfter",
    "DuplicateIndex",
    "EmptyBody",
    "EndAfter",
    "Entry",
    "ErrorAfterFinish",
    "Fault",
    "FaultServer",
    "GarbageFrames",
    "HeaderDrip",
    "HeaderStall",
    "HtmlErrorPage",
    "HugeLine",
    "InvalidJson",
    "LateUsage",
    "LongLength",
    "NoEndMark",
    "OverloadMidStream",
    "RateLimited",
    "Received",
    "Recorder",
    "RedirectLoop",
    "RefuseConnection",
    "Replayer",
    "ResetAfter",
    "ResetOnAccept",
    "ServerFault",
    "SlowDrip",
    "SplitUTF8",
    "StallAfter",
    "Together",
    "TrailingBytes",
    "Unauthorized",
    "UnknownEvents",
    "WrongContentType",
    "catalogue",
    "record",
    "record_replay",
    "replay",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'polyvox.testing' has no attribute {name!r}")
    value = getattr(import_module(f"polyvox.testing.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
