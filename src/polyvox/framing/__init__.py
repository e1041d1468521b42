"""Bytes ↔ frames: push machines with `feed` and `close`, no I/O, the same frames however the bytes were cut."""
