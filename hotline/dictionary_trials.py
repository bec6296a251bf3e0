"""What would change if the dictionary drafts went live: on questions that were really asked, and on the golden ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hotline.golden import GoldenComparison, Side, compare_on_golden, load_golden_questions
from hotline.live_settings import get_live_settings
from hotline.models import Lookup
from hotline.understanding import understand_question
from kb.engine import get_search_engine
from kb.live_dictionaries import load_rules, load_rules_with_drafts
from kb.query_understanding import Rules
from kb.rarity import make_rarity

RECENT = 500  # lookups whose questions are understood anew
SHOWN = 50  # questions of which the change is shown


def try_drafts(on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Plain values for the trial's row. Raises SearchUnavailable where the golden questions cannot be asked."""
    before, after = load_rules(), load_rules_with_drafts()
    questions = list_questions()
    changed = list(compare_understanding(questions, before, after))
    settings = get_live_settings()
    compared = compare_on_golden(before=Side(settings, before), after=Side(settings, after), on_progress=on_progress)
    return {
        "questions": len(questions),
        "changed_count": len(changed),
        "changed": changed[:SHOWN],
        "golden": _describe_golden(compared),
    }


def list_questions() -> list[str]:
    """The golden questions, then those asked last, each once."""
    asked = Lookup.objects.order_by("-pk").values_list("question", flat=True)[:RECENT]
    return list(dict.fromkeys([*(question.text for question in load_golden_questions()), *asked]))


def compare_understanding(questions: Iterable[str], before: Rules, after: Rules) -> Iterator[dict[str, Any]]:
    """The questions of which another wording is searched or offered, with what is new and what is gone."""
    for question in questions:
        old, new = _read_wordings(question, before), _read_wordings(question, after)
        if old != new:
            yield {
                "question": question,
                "searched_before": old[0][1],
                "searched_after": new[0][1],
                "gone": [text for kind, text in old[1:] if (kind, text) not in new],
                "new": [text for kind, text in new[1:] if (kind, text) not in old],
            }


def _read_wordings(question: str, rules: Rules) -> list[tuple[str, str]]:
    wordings = understand_question(question, rules=rules, rarity=make_rarity(get_search_engine()))
    return [(wording.kind, wording.text) for wording in wordings]


def _describe_golden(compared: GoldenComparison) -> dict[str, Any]:
    """Empty without golden questions."""
    if compared.before is None or compared.after is None:
        return {}
    return {
        "questions": compared.before.queries,
        "before": compared.before.to_json(),
        "after": compared.after.to_json(),
        "fallen": list(compared.fallen),
        "moved": [row.to_json() for row in compared.changed[:SHOWN]],
    }
