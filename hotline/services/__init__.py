"""Writes of the desk. Every function takes keyword arguments and says who does it with `by`."""
