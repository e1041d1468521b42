"""Tests of the types."""  # noqa: A005 - named after what it tests
