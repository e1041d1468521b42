"""The Gemini wire (`generateContent`), as Google's Developer API and Vertex speak it.

Contents are lists of parts, in answers as in requests, so one module (`blocks.py`) reads and writes both. The traps:

- The model and the wish for a stream stand in the address, not in the body.
- A stream's parts bear no number: pieces of text of one kind are one part until something else comes.
- A thought signature stands on the very part it belongs to, be it a call or an empty text, and goes back on it.
- A function call comes whole, ends with `STOP`, and has no id in many answers: one is made, and never sent back.
- Usage counts thoughts beside the candidates' tokens, and is a running total in every chunk.
- A blocked prompt is an answer without candidates under status 200.
- Enums may come as numbers, requests may spell their members with underscores, a stream may be one JSON array.

https://ai.google.dev/api/generate-content
"""
