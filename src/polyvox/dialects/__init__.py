"""Dialects: pure codecs between a wire's JSON and our types, usable from both ends. See `base` for the contract."""
