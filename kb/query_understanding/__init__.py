"""What a citizen means: cleaning, terms, places, question sentences, rewrites; dictionaries, no model."""

from kb.query_understanding.places import NamedPlace, find_named_places, name_places, prefer_places
from kb.query_understanding.rules import RuleError, Rules, load_default_rules
from kb.query_understanding.types import Rarity, Step, Understanding, Variant
from kb.query_understanding.understanding import understand

__all__ = [
    "NamedPlace",
    "Rarity",
    "RuleError",
    "Rules",
    "Step",
    "Understanding",
    "Variant",
    "find_named_places",
    "load_default_rules",
    "name_places",
    "prefer_places",
    "understand",
]
