"""`python -m polyvox.cli`: the command line where its script is not on the path."""

from polyvox.cli import main

main()
