"""Writes to the knowledge base. Every function takes keyword arguments and says who does it with `by`."""
