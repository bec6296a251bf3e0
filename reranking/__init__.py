"""Rerankers, batching and the score gap: plain Python that knows nothing of Django, databases or views."""
