"""What a citizen means: cleaning, terms, places, question sentences, rewrites; dictionaries, no model."""

from kb.query_understanding.rules import RuleError, Rules, load_default_rules
from kb.query_understanding.types import Step, Understanding, Variant
from kb.query_understanding.understanding import understand

__all__ = ["RuleError", "Rules", "Step", "Understanding", "Variant", "load_default_rules", "understand"]
