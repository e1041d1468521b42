"""The OpenAI wire (Chat Completions), as OpenAI and some thirty other services speak it.

The traps of the wire, each met in recorded traffic, are told where they are handled: `chat/stream.py` for frames,
`chat/choice.py` for messages, `chat/usage.py` for arithmetic, `errors.py` for the many shapes of an error.
https://platform.openai.com/docs/api-reference/chat
"""
