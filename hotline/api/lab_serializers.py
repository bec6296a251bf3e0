"""What goes in and out of /api/v1/lab/."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hotline.explanations import Explanation, name_ranking
from hotline.lab_advice import KINDS as ADVICE_KINDS
from hotline.lab_columns import Column, TrialCard, describe_movement
from hotline.models import LabRow, LabRun, Ticket
from hotline.retrieval_settings import RANKINGS, RERANKERS, REWRITES, SEMANTIC, RetrievalSettings, SettingsError
from hotline.services.tickets import QUESTION_LIMIT
from hotline.trials import Trial


class SettingsShapeSerializer(serializers.Serializer[Any]):
    """Retrieval settings; everything may be left out, and is then as the deployment has it."""

    index = serializers.CharField(required=False, allow_blank=True, help_text="现有索引的名称；空：线上索引")
    rankings = serializers.ListField(child=serializers.ChoiceField(choices=RANKINGS), required=False)
    rewrites = serializers.ChoiceField(choices=REWRITES, required=False)
    semantic = serializers.ChoiceField(choices=SEMANTIC, required=False, help_text="none：不用语义召回")
    reranker = serializers.ChoiceField(choices=RERANKERS, required=False)
    instruction = serializers.CharField(required=False, allow_blank=True, help_text="指令模板的代码，或指令本身")
    gap_base_threshold = serializers.FloatField(required=False, allow_null=True)
    first_share_threshold = serializers.FloatField(required=False, allow_null=True)
    thresholds_by_category = serializers.DictField(child=serializers.FloatField(), required=False)
    thresholds_for = serializers.CharField(
        required=False, allow_blank=True, help_text="阈值只用于哪一版重排；空：任何重排"
    )


@extend_schema_field(SettingsShapeSerializer)
class SettingsField(serializers.JSONField):
    """Settings as JSON, to RetrievalSettings."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            content: Any = super().to_internal_value(data)
        except RecursionError:
            self.fail("invalid")
        try:
            return RetrievalSettings.from_json(content)
        except SettingsError as error:
            raise serializers.ValidationError(str(error), code="invalid_settings") from error


class CompareSerializer(serializers.Serializer[Any]):
    """A question and the two settings; without them the first stage alone, and the live settings."""

    question = serializers.CharField(max_length=QUESTION_LIMIT)
    first = SettingsField(required=False)
    second = SettingsField(required=False)
    category = serializers.ChoiceField(
        choices=Ticket.Category.choices, required=False, allow_blank=True, help_text="业务类型：用它的指令与阈值"
    )
    as_of = serializers.DateField(required=False, allow_null=True)


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    score = serializers.FloatField()


class RankingHitSerializer(serializers.Serializer[Any]):
    """A ranking of the first stage that found the document: its BM25 score, by tokens; `rest`: of common ones.

    Sums of passages, rewrites and recall by meaning have scores of their own, and no tokens.
    """

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field's own name for its words
    place = serializers.IntegerField()
    score = serializers.FloatField()
    share = serializers.FloatField(help_text="占这一路最佳得分的比例")
    weight = serializers.FloatField(help_text="这一路的名次在融合中的权重")
    tokens = TokenSerializer(many=True)
    rest = serializers.FloatField()


class ContributionSerializer(serializers.Serializer[Any]):
    """A feature of the lexical reranker; `part` is value × weight."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field's own name for its words
    value = serializers.FloatField()
    weight = serializers.FloatField()
    part = serializers.FloatField()


class ExplanationSerializer(serializers.Serializer[Any]):
    """`contributions` (the greatest) and `rest` (the sum of `others` more) add up to log_odds; empty for others."""

    rankings = RankingHitSerializer(many=True)
    contributions = ContributionSerializer(many=True)
    others = serializers.IntegerField()
    rest = serializers.FloatField()


class AdviceSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=ADVICE_KINDS)
    text = serializers.CharField()


class TrialDocumentSerializer(serializers.Serializer[Any]):
    """`other_rank`: the place under the other settings, null where it is not found there."""

    document = serializers.IntegerField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    document_number = serializers.CharField()
    passage = serializers.IntegerField()
    passage_text = serializers.CharField()
    rank = serializers.IntegerField()
    first_stage_rank = serializers.IntegerField()
    other_rank = serializers.IntegerField(allow_null=True)
    movement = serializers.CharField(help_text="↑2、↓1、=、新")
    log_odds = serializers.FloatField(allow_null=True)
    relevance_score = serializers.FloatField(allow_null=True)
    first_stage_features = serializers.DictField(child=serializers.FloatField())
    explanation = ExplanationSerializer(allow_null=True)


class TrialSerializer(serializers.Serializer[Any]):
    settings = SettingsShapeSerializer()
    index = serializers.CharField()
    wordings = serializers.ListField(child=serializers.CharField())
    reranker = serializers.CharField(allow_null=True)
    reranker_revision = serializers.CharField(allow_null=True)
    is_calibrated = serializers.BooleanField()
    gap = serializers.FloatField(allow_null=True)
    gap_threshold = serializers.FloatField()
    first_share = serializers.FloatField(allow_null=True)
    needs_review = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField())
    notices = serializers.ListField(child=serializers.CharField())
    milliseconds = serializers.DictField(child=serializers.FloatField())
    advice = AdviceSerializer(many=True)
    documents = TrialDocumentSerializer(many=True)


class ComparisonSerializer(serializers.Serializer[Any]):
    question = serializers.CharField()
    first = TrialSerializer()
    second = TrialSerializer()


class NewRunSerializer(serializers.Serializer[Any]):
    """A file of 50 to 10,000 questions. `baseline` empty: the live settings."""

    file = serializers.FileField(allow_empty_file=True)
    settings = SettingsField(required=False)
    baseline = SettingsField(required=False)
    as_of = serializers.DateField(required=False, allow_null=True)


class RunSerializer(serializers.ModelSerializer[LabRun]):
    """`figures`: `{measured, baseline, changes}` when it is done.

    `measured_on`: by side, the index, dictionary, reranker and embedder; `file_digest`: the file's SHA-256.
    """

    class Meta:
        model = LabRun
        fields = [
            "id",
            "name",
            "file_digest",
            "state",
            "settings",
            "baseline",
            "as_of",
            "questions_total",
            "questions_done",
            "figures",
            "measured_on",
            "error",
            "created_at",
            "finished_at",
        ]


class RowSerializer(serializers.ModelSerializer[LabRow]):
    """`measured` and `baseline`: order, right_rank, figures, gap, needs_review, reasons, milliseconds; empty before."""

    class Meta:
        model = LabRow
        fields = [
            "ordinal",
            "question",
            "category",
            "right_document_ids",
            "unknown_answers",
            "is_done",
            "change",
            "measured",
            "baseline",
        ]


class RunComparisonSerializer(serializers.Serializer[Any]):
    """`has_same_questions`: from one file, to the byte. `differing`: on what else they were not measured alike."""

    runs = RunSerializer(many=True)
    has_same_questions = serializers.BooleanField()
    differing = serializers.ListField(child=serializers.CharField())


class InstructionSerializer(serializers.Serializer[Any]):
    """`is_own`: an administrator's wording, which goes before the built-in one of the same key."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field's own name for its words
    text = serializers.CharField()
    is_own = serializers.BooleanField()


def describe_columns(first: Column, second: Column) -> dict[str, Any]:
    """As ComparisonSerializer says."""
    return {
        "question": first.trial.question,
        "first": _describe(first, second.trial),
        "second": _describe(second, first.trial),
    }


def _describe(column: Column, other: Trial) -> dict[str, Any]:
    places = {document.document_id: document.rank for document in other.documents}
    trial = column.trial
    info, decision = trial.reranker, trial.decision
    return {
        "settings": trial.settings.to_json(),
        "index": trial.index,
        "wordings": [wording.text for wording in trial.wordings if wording.is_used],
        "reranker": info.name if info else None,
        "reranker_revision": info.revision if info else None,
        "is_calibrated": bool(info and info.calibrated),
        "gap": decision.gap,
        "gap_threshold": decision.threshold,
        "first_share": decision.first_share,
        "needs_review": decision.needs_review,
        "reasons": list(decision.reasons),
        "notices": list(trial.notices),
        "milliseconds": dict(trial.milliseconds),
        "advice": [{"kind": advice.kind, "text": advice.text} for advice in column.advice],
        "documents": [_describe_card(card, places.get(card.document.document_id)) for card in column.cards],
    }


def _describe_card(card: TrialCard, other_rank: int | None) -> dict[str, Any]:
    document = card.document
    return {
        "document": document.document_id,
        "version": document.version_id,
        "title": document.title,
        "document_number": document.document_number,
        "passage": document.passage_id,
        "passage_text": document.passage_text,
        "rank": document.rank,
        "first_stage_rank": document.first_stage_rank,
        "other_rank": other_rank,
        "movement": describe_movement(document.rank, other_rank).text,
        "log_odds": document.log_odds,
        "relevance_score": document.relevance_score,
        "first_stage_features": dict(document.first_stage_features),
        "explanation": _describe_explanation(card.explanation) if card.explanation else None,
    }


def _describe_explanation(why: Explanation) -> dict[str, Any]:
    return {
        "rankings": [
            {
                "name": hit.name,
                "label": name_ranking(hit.name),
                "place": hit.place,
                "score": hit.score,
                "share": hit.share,
                "weight": hit.weight,
                "tokens": [{"token": part.token, "score": part.score} for part in hit.tokens],
                "rest": hit.rest,
            }
            for hit in why.rankings
        ],
        "contributions": [
            {"label": item.label, "value": item.value, "weight": item.weight, "part": item.part}
            for item in why.contributions
        ],
        "others": why.others,
        "rest": why.rest,
    }
