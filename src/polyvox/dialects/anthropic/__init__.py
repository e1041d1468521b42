"""The Anthropic Messages wire, as Anthropic, its other homes (Bedrock, Vertex, Foundry) and proxies speak it.

Content is a list of blocks, in answers as in requests, so one module (`blocks.py`) reads and writes both. The traps:

- Blocks are chosen by type, never by place: an answer may begin with thinking, or be empty (`content: []`).
- Thinking travels back unchanged, signature and all, to the same model only; its text may be empty.
- A call without arguments is streamed as one empty piece of JSON: that is `{}`.
- Usage is cumulative in `message_delta` (replace, never add), and its `input_tokens` leave the cache out.
- What the provider's own tools did comes as pairs of blocks, whose results may be lists or one error object.
- The stream has no `[DONE]`, has pings anywhere, and may break off with `event: error` under status 200.
- Results stand in a *user* message, before anything else in it.

https://docs.anthropic.com/en/api/messages
"""
