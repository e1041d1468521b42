"""Chat Completions: requests and answers, both directions. `wire` is what we read, `choice` how a message is read."""
