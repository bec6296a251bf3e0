"""Policy documents: files, parsed text, passages, the search index and first-stage retrieval."""
