"""The registry: which providers and models there are, and what a name means."""
