"""The fault server in a process of its own: its memory is not the clients'. Prints its address, ends with its stdin.

The header `x-fault` names the fault that a request meets, and `x-once` one that only the call's first request meets.
"""

from __future__ import annotations

import sys

from polyvox.testing.connection import Received
from polyvox.testing.faults import (
    BillingExhausted,
    CutAfter,
    EmptyBody,
    Fault,
    HeaderStall,
    HtmlErrorPage,
    InvalidJson,
    OverloadMidStream,
    RateLimited,
    ResetAfter,
    ServerFault,
    StallAfter,
)
from polyvox.testing.server import FaultServer

TEXT = "".join(f"w{number:02}{'é漢😀~'[number % 4]} " for number in range(30))
FAULTS: dict[str, Fault] = {
    "500": ServerFault(500),
    "money": BillingExhausted(),
    "page": HtmlErrorPage(502),
    "overload": OverloadMidStream(12),
    "reset": ResetAfter(300),
    "cut": CutAfter(300),
    "empty": EmptyBody(),
    "json": InvalidJson(),
    "silence": HeaderStall(),
    "stall": StallAfter(300),
}
ONCE: dict[str, Fault] = {"429": RateLimited(0.01, "ms"), "503": ServerFault(503), "cut": CutAfter(0)}


def main() -> None:
    met: set[str] = set()

    def fault(received: Received) -> Fault | None:
        name, _, call = received.headers.get("x-once", "").partition(" ")
        if name and call not in met:
            met.add(call)
            return ONCE[name]
        met.discard(call)
        return FAULTS.get(received.headers.get("x-fault", ""))

    with FaultServer(TEXT, faults=fault, keep=0) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            if line.strip() == "left":
                print(server.open_connections if not server.wait_closed(5) else 0, server.request_count, flush=True)


if __name__ == "__main__":
    main()
