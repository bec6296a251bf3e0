"""What use teaches: labels, their export, the refit and the thresholds, and what keeps each from going live."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import DjangoAssertNumQueries, Settings

from hotline import learning, tasks
from hotline.live_settings import forget_live_values, get_learned_model, get_live_settings
from hotline.models import (
    Feedback,
    GoldenRun,
    LexicalModelVersion,
    Lookup,
    Result,
    SavedSettings,
    SecondaryReview,
    User,
)
from hotline.rerankers import load_deployed_model, load_lexical_model
from hotline.review_policy import is_sampled
from hotline.services import learning as learning_service
from hotline.services.golden_questions import add_golden_question
from hotline.services.live_settings import restore_model
from hotline.services.lookups import start_lookup
from hotline.services.reranking import rerank_waiting_lookups
from hotline.threshold_advice import Advice, ThresholdAdvice, advise, with_learned
from hotline.understanding import understand_question
from kb.models import DocumentVersion
from reranking.lexical_features import FEATURES
from reranking.threshold_learning import CurvePoint, Judgement
from tests.dictionaries import release_terms
from tests.factories import make_lookup, make_review, make_user, make_version

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("verdict", "adopted", "thumbs", "expected"),
    [
        (None, [], {}, None),
        ([1], [2], {3: 1}, (frozenset({1}), "verdict")),
        ([], [2], {}, (frozenset(), "verdict")),  # a reviewer found none right, whatever an agent adopted
        (None, [2], {3: 5}, (frozenset({2}), "adoption")),
        (None, [], {3: 1, 4: -1, 5: 0}, (frozenset({3}), "thumb")),
        (None, [], {3: -1}, None),  # what is wrong does not say what is right
    ],
)
def test_verdict_before_adoption_before_thumb(
    verdict: list[int] | None, adopted: list[int], thumbs: dict[int, int], expected: object
) -> None:
    assert learning.resolve_label(verdict=verdict, adopted=adopted, thumbs=thumbs) == expected


def make_labelled() -> dict[str, Lookup]:
    """A lookup for each source, and one that nobody said anything of."""
    versions = [make_version("甲办法"), make_version("乙办法")]
    lookups = {
        name: make_lookup(versions, question=f"{name}的问题 13812345678", scores=[1.0, 0.5])
        for name in ("verdict", "adoption", "thumb", "silent")
    }
    review = SecondaryReview.objects.create(lookup=lookups["verdict"], state="decided", verdict="confirmed")
    review.picked.add(lookups["verdict"].results.get(rank=2))
    lookups["verdict"].results.filter(rank=1).update(is_adopted=True)
    lookups["adoption"].results.filter(rank=1).update(is_adopted=True)
    for result, is_helpful in zip(lookups["thumb"].results.order_by("rank"), (False, True), strict=True):
        Feedback.objects.create(result=result, is_helpful=is_helpful, by=make_user())
    return lookups


def test_export_has_the_shape_of_evaluation_queries_and_no_personal_data(tmp_path: Path) -> None:
    lookups = make_labelled()

    call_command("export_learning_data", "--output", tmp_path / "q.jsonl", "--documents", tmp_path / "d.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [(row["qid"], row["set"]) for row in rows] == [
        (f"lookup-{lookups[name].pk}", name) for name in ("verdict", "adoption", "thumb")
    ]
    right = {name: str(lookups[name].results.get(rank=rank).version.document_id) for name, rank in _RIGHT.items()}
    assert {row["set"]: row["doc_ids"] for row in rows} == {name: [pk] for name, pk in right.items()}
    assert not any("13812345678" in row["question"] for row in rows)
    assert {row["id"] for row in documents} >= set(right.values())


_RIGHT = {"verdict": 2, "adoption": 1, "thumb": 2}


def test_judgements_are_of_one_revision_with_their_chance() -> None:
    versions = [make_version("甲办法"), make_version("乙办法")]
    for place, (revision, chance) in enumerate([("new", 1.0), ("new", 0.01), ("old", 1.0)]):
        lookup = make_lookup(versions, scores=[1.0, 0.5], first_share=0.3 + place / 10, reranker_revision=revision)
        review = SecondaryReview.objects.create(lookup=lookup, state="decided", verdict="confirmed", chance=chance)
        review.picked.add(lookup.results.get(rank=1 + place))
        if place == 1:
            break

    found = learning.list_judgements(reranker="lexical", revision="new")

    assert sorted(found[""], key=lambda item: item.value) == [
        Judgement(0.3, True, 1.0),
        Judgement(0.4, False, 0.01),
    ]


def test_any_number_of_judgements_takes_the_same_few_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    versions = [make_version("甲办法"), make_version("乙办法")]
    for _ in range(8):
        lookup = make_lookup(versions, scores=[1.0, 0.5], reranker="qwen", reranker_revision="1")
        make_review(lookup, state="decided", verdict="confirmed").picked.add(lookup.results.get(rank=1))

    with django_assert_max_num_queries(3):
        found = learning.list_judgements(reranker="qwen", revision="1")
    assert len(found[""]) == 8


def test_threshold_needs_verdicts_and_drawn_ones_among_them() -> None:
    sure = [Judgement(0.5 + place / 1000, True) for place in range(120)]

    assert "只有 50 条复核结论" in advise(sure[:50], target=0.1).missing
    assert "随机抽检" in advise(sure, target=0.1).missing
    drawn = [Judgement(item.value, True, chance=0.5) for item in sure]
    point = advise(drawn, target=0.1).point
    assert point is not None
    assert point.threshold == 0.0


@pytest.mark.parametrize(
    ("live", "has_moved"),
    [
        ({}, False),
        ({"first_share_threshold": 0.42}, False),  # noise
        ({"first_share_threshold": 0.40}, True),
        ({"first_share_threshold": None}, True),
        ({"thresholds_by_category": {"complaint": 0.3}}, True),
        ({"thresholds_by_category": {"complaint": 0.5, "regulations": 0.5}}, True),
        ({"thresholds_by_category": {}}, True),
        ({"thresholds_for": "lexical old"}, True),
    ],
)
def test_any_threshold_that_moves_is_proposed(
    live: dict[str, object], has_moved: bool, monkeypatch: pytest.MonkeyPatch, golden_questions: None
) -> None:
    point = CurvePoint(0.4167, 0.3, 0.09, 0.05, 0.15, 80)
    own = Advice(150, 40, (), replace(point, threshold=0.5), "")
    advice = ThresholdAdvice("lexical", "x", "share", 0.1, Advice(300, 80, (), point, ""), {"complaint": own})
    saved = {
        "first_share_threshold": 0.4167,
        "thresholds_by_category": {"complaint": 0.5},
        "thresholds_for": "lexical x",
    }
    SavedSettings.objects.create(settings={**saved, **live})
    forget_live_values()
    monkeypatch.setattr(learning_service, "advise_thresholds", lambda: advice)

    outcome = learning_service.learn_from_use(by=None)

    assert bool(outcome.runs) is has_moved
    if has_moved:
        assert outcome.runs[0].proposal["settings"]["thresholds_by_category"] == {"complaint": 0.5}


def test_learned_thresholds_keep_what_they_say_nothing_of() -> None:
    point = CurvePoint(0.41234, 0.3, 0.09, 0.05, 0.15, 80)
    known, unknown = Advice(150, 40, (), point, ""), Advice(10, 0, (), None, "太少")
    advice = ThresholdAdvice("lexical", "x", "share", 0.1, known, {"complaint": known, "regulations": unknown})
    before = get_live_settings()

    after = with_learned(before, advice)

    assert (after.first_share_threshold, after.thresholds_by_category) == (0.4123, {"complaint": 0.4123})
    assert after.thresholds_for == "lexical x"
    unsupported = replace(after, thresholds_by_category={"regulations": 0.9})
    assert with_learned(unsupported, advice) == after
    assert with_learned(before, ThresholdAdvice("lexical", "x", "share", 0.1, unknown, {})) == before
    by_gap = with_learned(before, replace(advice, reranker="qwen3", signal="gap"))
    assert (by_gap.gap_base_threshold, by_gap.first_share_threshold) == (0.4123, None)
    assert (by_gap.thresholds_by_category, by_gap.thresholds_for) == ({"complaint": 0.4123}, "qwen3 x")


def test_sample_is_drawn_by_id_in_its_share() -> None:
    drawn = [pk for pk in range(20_000) if is_sampled(pk, 5.0)]

    assert 900 < len(drawn) < 1100
    assert drawn == [pk for pk in range(20_000) if is_sampled(pk, 5.0)]
    assert not any(is_sampled(pk, 0.0) for pk in range(1000))
    assert all(is_sampled(pk, 100.0) for pk in range(1000))


def test_undoubted_lookup_is_drawn_for_review(policies: dict[str, DocumentVersion], settings: Settings) -> None:
    settings.REVIEW_SAMPLE_PERCENT = 100.0
    settings.FIRST_SHARE_THRESHOLD = 0.0  # nothing is doubtful
    lookup = start_lookup(question="云岚市加装电梯补贴多少钱", by=None)

    rerank_waiting_lookups()
    lookup.refresh_from_db()

    assert "quality_sample" in lookup.reasons
    assert (lookup.review.state, lookup.review.chance) == ("waiting", 1.0)


def test_without_golden_questions_nothing_is_learned() -> None:
    assert learning_service.learn_from_use(by=None).notes == [
        "只有 0 个标准问题，至少需要 20 个才能自动生效；没有改动。"
    ]


@pytest.fixture
def golden_questions(policies: dict[str, DocumentVersion], agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_service, "LEAST_GOLDEN", 2)
    add_golden_question(question="加装电梯补贴多少钱", document_ids=[policies["lift"].document_id], by=agent)
    add_golden_question(question="楼上漏水物业几天到场", document_ids=[policies["leak"].document_id], by=agent)


@pytest.mark.usefixtures("golden_questions")
def test_too_little_use_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("learn_from_use")

    said = capsys.readouterr().out
    assert "只有 0 次检索有正确答案，至少需要 200 次" in said
    assert "阈值不变：只有 0 条复核结论" in said
    assert not GoldenRun.objects.exists()


@pytest.mark.usefixtures("golden_questions")
def test_refit_goes_live_in_every_process_and_is_undone(
    policies: dict[str, DocumentVersion], agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_service, "LEAST_LOOKUPS", 12)
    for number in range(16):
        lookup = start_lookup(question=f"云岚市办法条例补贴租金 {number} 第一条", by=None)
        right = lookup.results.filter(version=policies["rent"]) or lookup.results.all()[:1]
        Result.objects.filter(pk__in=[result.pk for result in right]).update(is_adopted=True)
    rerank_waiting_lookups()

    tasks.learn_from_use()

    saved = LexicalModelVersion.objects.get()
    learned = get_learned_model()
    assert learned is not None
    assert learned.revision == saved.revision != load_deployed_model().revision
    assert learned.trained_on["departs_from"] == load_deployed_model().revision
    assert (saved.golden_run.kind, saved.golden_run.state) == ("learning", "applied")
    again = start_lookup(question="云岚市补贴", by=None)
    rerank_waiting_lookups()
    again.refresh_from_db()
    assert again.reranker_revision == saved.revision

    restore_model(version=None, by=agent)
    assert load_lexical_model() == load_deployed_model()


def test_rows_to_learn_from_are_those_that_were_scored(
    policies: dict[str, DocumentVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewrites that were searched are in them; words that were released since are not."""
    question = "云岚市楼上漏水物业不管，多久维修"
    (rewrite, *_) = [wording for wording in understand_question(question)[1:] if wording.kind != "original"]
    lookup = start_lookup(question=question, by=None, variant_texts=[rewrite.text])
    rerank_waiting_lookups()
    lookup.results.filter(rank=1).update(is_adopted=True)
    release_terms(monkeypatch, "楼上漏水", "多久维修")

    ((_, rows, right),) = learning_service.load_rows(learning.list_labels())

    served = lookup.results.order_by("first_stage_rank").values_list("log_odds", flat=True)
    assert load_lexical_model().score(rows) == pytest.approx(list(served))
    own, reworded = FEATURES.index("document_bigrams"), FEATURES.index("variant_document_bigrams")
    assert [row[own] for row in rows] != [row[reworded] for row in rows]
    assert right.count(True) == 1


@pytest.mark.usefixtures("golden_questions")
def test_coefficients_that_the_deployment_names_are_not_overruled(settings: Settings) -> None:
    settings.LEXICAL_MODEL_FILE = "own.json"

    assert "LEXICAL_MODEL_FILE" in learning_service.learn_from_use(by=None).notes[0]
    LexicalModelVersion.objects.create(revision="x", content={"format": 1})
    assert get_learned_model() is None
