"""Polyvox beside raw HTTP, the openai SDK and litellm, in one run on the loopback interface: `make bench`.

The rule: what is compared is CPU time, user and system, of the client's process alone (the server is another process),
taken in turn round by round, the best round counting: CPU noise only ever adds.
"""
