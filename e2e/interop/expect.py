"""Checks that say what they saw: the first that fails ends the program with an error."""

import sys


def equal(what, expected, actual):
    if expected != actual:
        sys.exit(f"FAILED {what}: expected {expected!r}, got {actual!r}")
    print(f"ok      {what}")
