"""Cut the text of a policy document into passages, the units that are indexed and shown. Pure and deterministic."""

from kb.passages.bare_lines import find_bare_lines
from kb.passages.headings import heading_path_at
from kb.passages.markers import STOPS
from kb.passages.splitting import PASSAGE_SCHEME, PassageSpan, split_passages

__all__ = ["PASSAGE_SCHEME", "STOPS", "PassageSpan", "find_bare_lines", "heading_path_at", "split_passages"]
