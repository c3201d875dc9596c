"""What all rooms take for granted."""

THRESHOLD = 0.5
"""A pixel belongs to the segment when its probability is greater than this."""
