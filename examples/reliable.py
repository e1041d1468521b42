"""One question that should be answered whatever happens: retries, a second model, a limit of money, a cache on disk.

python examples/reliable.py [MODEL [OTHER_MODEL]]
"""

from __future__ import annotations

import sys

from polyvox import (
    Budget,
    Cache,
    Callbacks,
    CallConfig,
    Client,
    Fallback,
    LimitError,
    PolyvoxError,
    RateLimitError,
    Retry,
    SQLiteStore,
    Timeout,
)

MODEL, OTHER = [*sys.argv[1:], "openai/gpt-5.5", "anthropic/claude-sonnet-5.5"][:2]
QUESTION = "Why is the sky blue?"

budget = Budget(1.0, per="day")  # US dollars
config = CallConfig(
    retry=Retry(max_attempts=3, attempts={RateLimitError: 5}),
    fallback=Fallback((OTHER,)),
    cache=Cache(SQLiteStore("answers.sqlite"), ttl=3600),
    budget=budget,
    timeout=Timeout(first_event=30, idle=30, total=120),  # of all attempts together
    callbacks=Callbacks(on_retry=lambda fact: print(f"  {fact}", file=sys.stderr)),
)

with Client(call_config=config) as client:
    most = client.estimate_cost(MODEL, QUESTION, max_tokens=300)
    print("price:", "not known" if most is None else f"at most {most.amount:.4f} USD an attempt")
    for _ in range(2):  # the second time, from the cache
        try:
            reply = client.generate(MODEL, QUESTION, max_tokens=300)
        except LimitError as error:
            sys.exit(f"nothing was sent: {error}")
        except PolyvoxError as error:
            tried = ", ".join(f"{one.model} ({one.error})" for one in error.attempts)
            sys.exit(f"{error}\ntried: {tried}")
        print("from the cache:" if reply.cached else f"{reply.origin}, {len(reply.attempts)} attempts:", reply.text)
print(f"spent: {budget.spent:.6f} USD")
