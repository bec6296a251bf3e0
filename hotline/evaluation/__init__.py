"""Measuring retrieval, reranking, secondary review and highlighting on labelled questions. Needs no database rows."""
