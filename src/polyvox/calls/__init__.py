"""A call, and what wraps it. A `Call` is `(Context, GenerateRequest) -> async generator of lists of events`."""
