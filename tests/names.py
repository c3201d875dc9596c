"""What tests are called after."""

import re


def printed(value):
    """A value as text without its address in memory, so that all workers call a test the same."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
