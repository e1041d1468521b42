"""Auth: a request in, a signed request out. The only place where a `Secret` is revealed."""
