"""The Ollama wire, `/api/chat`, as a local Ollama server and ollama.com speak it.

A message is one text, one thinking, a list of calls and a list of pictures. The traps:

- It streams unless told otherwise: `stream: false` is always said. Lines are JSON, whatever the content type claims.
- Arguments of a call are an object; calls come whole, in lines before the last, and end with `done_reason: stop`.
- A call has an id on newer servers only: where there is none one is made, and never sent back.
- Thinking comes beside the text, at times though it was turned off; it travels back as `thinking`.
- `prompt_eval_count` may be missing (the prompt was cached): that is "not said", not zero. Durations are nanoseconds.
- An error is `{"error": "text"}`, also as a line under status 200: the words tell what it is.
- The context is small unless `options.num_ctx` says otherwise, and longer prompts are cut without a word.

https://docs.ollama.com/api/chat
"""
