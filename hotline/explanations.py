"""Why a trial ordered its documents so: words and rankings of the first stage, features of the lexical reranker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from hotline.errors import SearchUnavailable
from hotline.rerankers import list_lexical_rows, load_lexical_model
from hotline.trials import Trial
from kb.engine import get_search_engine
from kb.explanation import RankingHit, explain_documents, explain_others
from kb.rankings import PASSAGE_SUM, VARIANT
from kb.search.types import SearchEngineError, SearchFilter
from kb.semantic_search import NAME as SEMANTIC
from reranking.lexical import NAME as LEXICAL
from reranking.lexical_features import FEATURES
from reranking.types import RankingRequest

RANKINGS = {
    "bigrams": "二字组（全句）",
    "stripped_bigrams": "二字组（去问句词）",
    "skip_bigrams": "隔字组",
    "words": "词",
    "unigrams": "单字",
    "version_bigrams": "全文二字组",
    PASSAGE_SUM: "各段之和",
    SEMANTIC: "语义",
}
FEATURE_NAMES = {
    **{f"{name}_share": f"初筛·{label}" for name, label in RANKINGS.items()},
    "fused_share": "初筛·融合",
    "stripped_bigrams_second_share": "第二段的二字组",
    "stripped_bigrams_top3_share": "前三段的二字组",
    "stripped_bigrams_top10_share": "前十段的二字组",
    "document_bigrams": "全文含问题二字组",
    "document_words": "全文含问题的词",
    "passage_bigrams": "最佳段含二字组",
    "passage_words": "最佳段含词",
    "passages_bigrams": "各段含二字组",
    "sentence_bigrams": "最佳句含二字组",
    "sentence_words": "最佳句含词",
    "sentence_pair_bigrams": "相邻两句含二字组",
    "three_sentences_bigrams": "最佳三句含二字组",
    "titled_sentence_bigrams": "标题与最佳句含二字组",
    "lead_bigrams": "标题与开头含二字组",
    "document_rare_bigrams": "全文含少见二字组",
    "document_rare_words": "全文含少见词",
    "title_asked": "标题被问到的部分",
    "title_asked_rare": "标题中少见字组被问到",
    "title_asked_count": "标题被问到的字组数",
    "statute": "以条文写成",
    "statutes_first": "前三名中以条文写成的",
    "place_same": "地区相同",
    "place_above": "上级地区",
    "place_below": "下级地区",
    "place_elsewhere": "别的地区",
}
FEATURE_NAMES |= {f"{VARIANT}{name}": f"改写·{label}" for name, label in FEATURE_NAMES.items()}
SHOWN_FEATURES = 8


@dataclass(frozen=True, slots=True)
class Contribution:
    """A feature of the lexical reranker: value × weight, a part of the score."""

    label: str
    value: float
    weight: float

    @property
    def part(self) -> float:
        return self.value * self.weight


@dataclass(frozen=True, slots=True)
class Explanation:
    """A document's score in parts. `contributions`: the greatest first; `others`: how many more, `rest`: their sum."""

    rankings: tuple[RankingHit, ...]
    contributions: tuple[Contribution, ...] = ()
    others: int = 0
    rest: float = 0.0


def explain_trial(
    trial: Trial, version_ids: Collection[int], *, as_of: date, departments: tuple[str, ...] | None = None
) -> dict[int, Explanation]:
    """Of the documents that are shown. Raises SearchUnavailable."""
    try:
        found = explain_documents(
            get_search_engine(),
            trial.searched,
            SearchFilter(as_of=as_of, departments=departments),
            version_ids,
            index=trial.index,
            plan=trial.settings.build_plan(),
        )
    except SearchEngineError as error:
        raise SearchUnavailable from error
    others = explain_others(trial.rankings, version_ids, plan=trial.settings.build_plan())
    contributions = _list_contributions(trial)
    return {
        version_id: _join((*found.get(version_id, ()), *others[version_id]), contributions.get(str(version_id), []))
        for version_id in version_ids
    }


def name_ranking(name: str) -> str:
    """In Chinese, also of a wording searched beside the question."""
    own = name.removeprefix(VARIANT)
    return f"{'改写·' if own != name else ''}{RANKINGS.get(own, own)}"


def _join(rankings: tuple[RankingHit, ...], contributions: list[Contribution]) -> Explanation:
    shown, others = contributions[:SHOWN_FEATURES], contributions[SHOWN_FEATURES:]
    return Explanation(rankings, tuple(shown), len(others), sum(item.part for item in others))


def _list_contributions(trial: Trial) -> Mapping[str, list[Contribution]]:
    """By candidate id, the greatest first; none where another reranker ordered, or coefficients gone since."""
    model = load_lexical_model()
    if not trial.reranker or (trial.reranker.name, trial.reranker.revision) != (LEXICAL, model.revision):
        return {}
    rows = list_lexical_rows(RankingRequest(trial.searched, trial.candidates, variants=trial.variants))
    coefficients = model.find_coefficients(rows)
    found = {}
    for candidate, row in zip(trial.candidates, rows, strict=True):
        parts = [
            Contribution(FEATURE_NAMES.get(name, name), row[FEATURES.index(name)], weight)
            for name, weight in coefficients.items()
        ]
        found[candidate.id] = sorted(parts, key=lambda part: -abs(part.part))
    return found
