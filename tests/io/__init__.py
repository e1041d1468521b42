"""Tests of the seam."""  # noqa: A005 - named after what it tests
