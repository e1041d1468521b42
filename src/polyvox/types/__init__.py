"""The types everything else speaks in: frozen structs, no I/O, no vendor's words."""
