"""The seam between Polyvox and the outside world: `base` says what it is, the other modules are its implementations.

The rule: HTTP libraries, event loops and threads are used below this package and nowhere above it, and are loaded on
first use.
"""
