"""The OpenAI Responses wire, as OpenAI, Azure, Bedrock, DeepSeek, llama.cpp, OpenRouter, Perplexity and xAI speak it.

A conversation is a list of items, in requests as in answers, so one module (`items.py`) reads and writes both. An item
may hold several of our parts: all but the last say `more`, the last bears the item's own members (`fields.py`). The
traps:

- A call is linked to its result by `call_id`; the item's own `id` is another thing, and what a stream's pieces name.
- Reasoning travels back encrypted, and only the copy in `output_item.done` is whole; its readable text may be a summary
  (several), or in `content` (DeepSeek, gpt-oss), or missing.
- Whether tools are to be run is told by the items, never by the status, which is `completed` either way.
- The union of items is open: what is not known is kept as it is.
- The stream has no `[DONE]` (OpenRouter sends one), an error comes flat or nested, with `response.failed` after it.

https://platform.openai.com/docs/api-reference/responses
"""
