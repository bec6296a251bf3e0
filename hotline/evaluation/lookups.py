"""Every question asked once, as the desk asks it: what was found, what is highlighted, how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hotline.evaluation.corpus import Corpus
from hotline.evaluation.data import Document, Question
from hotline.evaluation.fingerprints import Recall
from hotline.first_stage import choose_wordings, search_wordings
from hotline.highlighting import Highlight, highlight
from hotline.instructions import instruction_text
from hotline.machine_check import MachineCheck, can_be_settled, check_by_machine
from hotline.review_policy import judge_lookup
from hotline.understanding import UnderstoodQuestion, Wording
from kb.live_dictionaries import get_live_rules
from kb.query_understanding import Rarity, Rules, name_places
from kb.rarity import make_rarity
from kb.retrieval import DocumentHit, FirstStageResult
from kb.search.types import SearchFilter
from reranking.lexical_features import list_features
from reranking.types import Candidate, Ranking, RankingRequest, Reranker

SHOWN = 10  # documents whose passages are highlighted before the page is there
HIGHLIGHTS = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its candidates in first-stage order.

    `rows` are their lexical features, filled where a lexical model will order them; else `ranking`, where there is a
    reranker. `touches`: whether each of the best three highlighted sentences of a right document touches the answer,
    None where no right document holds it verbatim. `first_passage`: whether the passage that is shown first of that
    document holds the answer, None also where the document is not found. `seconds` by stage. `searched` is the wording
    that was searched; `check`: the machine check of a doubtful ranking that can be settled.
    """

    question: Question
    searched: str
    candidate_ids: tuple[str, ...]
    rows: list[list[float]] | None
    ranking: Ranking | None
    check: MachineCheck | None
    touches: list[bool] | None
    first_passage: bool | None
    seconds: Mapping[str, float]


def ask_questions(
    corpus: Corpus,
    questions: Sequence[Question],
    *,
    reranker: Reranker | None = None,
    lists_features: bool = False,
    recall: Recall | None = None,
) -> Iterator[Asked]:
    """`lists_features`: for lexical models to be chosen later. `recall` adds rankings by meaning.

    Raises SearchEngineError, RerankerError, EmbeddingFailed.
    """
    by_id = {document.id: document for document in corpus.documents}
    instruction = instruction_text("")
    analyze = corpus.engine.segmenter(corpus.index).analyze_query
    rules, rarity = get_live_rules(), make_rarity(corpus.engine, corpus.index)
    for question in questions:
        seconds: dict[str, float] = {}
        read = _understand(question.text, rules, rarity, seconds)
        wordings, text = read.wordings, read.wordings[0].text
        found = _search(corpus, wordings, seconds, recall)
        places = name_places(read.place_names, rules)
        candidates = [corpus.build_candidate(hit, places, rules) for hit in found.documents]
        rows = ranking = check = None
        began = time.perf_counter()
        if reranker:
            (ranking,) = reranker.rank([RankingRequest(text, candidates, instruction, variants=found.variants)])
        if lists_features:
            rows = list_features(text, candidates, analyze, found.variants)
        seconds["rerank"] = time.perf_counter() - began
        if reranker and ranking:
            check = _check(reranker, wordings, candidates, ranking, instruction)
        _order_shown(corpus, text, found.documents, seconds)
        ids = tuple(candidate.id for candidate in candidates)
        marks = find_touches(question, by_id), find_first_passage(corpus, question, text, found.documents)
        yield Asked(question, text, ids, rows, ranking, check, *marks, seconds)


def _understand(text: str, rules: Rules, rarity: Rarity, seconds: dict[str, float]) -> UnderstoodQuestion:
    began = time.perf_counter()
    read = choose_wordings(text, rules=rules, rarity=rarity)
    seconds["understanding"] = time.perf_counter() - began
    return read


def _check(
    reranker: Reranker,
    wordings: Sequence[Wording],
    candidates: Sequence[Candidate],
    ranking: Ranking,
    instruction: str,
) -> MachineCheck | None:
    text = wordings[0].text
    decision = judge_lookup(question=text, candidates=candidates, ranking=ranking)
    if not can_be_settled(decision, ranking.info):
        return None
    return check_by_machine(
        reranker,
        question=text,
        variants=[wording.text for wording in wordings[1:]],
        candidates=candidates,
        ranking=ranking,
        threshold=decision.threshold,
        instruction=instruction,
    )


def _search(
    corpus: Corpus, wordings: Sequence[Wording], seconds: dict[str, float], recall: Recall | None
) -> FirstStageResult:
    search_filter = SearchFilter(as_of=date.today())  # noqa: DTZ011  # everything is in force; the filter takes time
    began = time.perf_counter()
    extra = recall(wordings[0].text, search_filter) if recall else ()
    recalled = time.perf_counter() - began
    found = search_wordings(corpus.engine, wordings, search_filter, index=corpus.index, extra_rankings=extra)
    seconds["first_stage"] = recalled + found.seconds
    return found


def _order_shown(corpus: Corpus, text: str, documents: Sequence[DocumentHit], seconds: dict[str, float]) -> None:
    began = time.perf_counter()
    for hit in documents[:SHOWN]:
        corpus.order_passages(text, hit)
    seconds["highlight"] = time.perf_counter() - began


def find_first_passage(
    corpus: Corpus, question: Question, searched: str, documents: Sequence[DocumentHit]
) -> bool | None:
    """Whether the first passage shown of a right document holds the verbatim answer; None where none is found."""
    for hit in documents if question.answer else ():
        document = corpus.documents[hit.version_id - 1]
        if document.id in question.right_ids and question.answer in document.content:
            first = corpus.order_passages(searched, hit)[0]
            return question.answer in corpus.passages[first.id - 1]
    return None


def find_touches(question: Question, documents: Mapping[str, Document]) -> list[bool] | None:
    """For the best HIGHLIGHTS sentences of a right document, best first: whether they overlap the verbatim answer."""
    if not question.answer:
        return None
    right = (documents[document_id] for document_id in sorted(question.right_ids) if document_id in documents)
    document = next((document for document in right if question.answer in document.content), None)
    if document is None:
        return None
    answers = list(_find_all(document.content, question.answer))
    marked = highlight(question.text, document.content, title=document.title, limit=HIGHLIGHTS)
    return [_overlaps(span, answers) for span in sorted(marked, key=lambda span: span.rank)]


def _find_all(text: str, answer: str) -> Iterator[tuple[int, int]]:
    at = text.find(answer)
    while at >= 0:
        yield at, at + len(answer)
        at = text.find(answer, at + 1)


def _overlaps(span: Highlight, answers: Sequence[tuple[int, int]]) -> bool:
    return any(span.start < end and start < span.end for start, end in answers)
