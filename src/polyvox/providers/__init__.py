"""Providers: one page of data each. A page holds `PROVIDER` and, where there are any, `MODELS`; nothing imports a page
but the registry, on first use of its name."""
