"""What goes in and out of /api/v1/lab/."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hotline.lab_columns import describe_movement
from hotline.models import LabRow, LabRun
from hotline.retrieval_settings import RANKINGS, RERANKERS, REWRITES, RetrievalSettings, SettingsError
from hotline.services.tickets import QUESTION_LIMIT
from hotline.trials import Trial


class SettingsShapeSerializer(serializers.Serializer[Any]):
    """Retrieval settings; everything may be left out, and is then as the deployment has it."""

    index = serializers.CharField(required=False, allow_blank=True, help_text="现有索引的名称；空：线上索引")
    rankings = serializers.ListField(child=serializers.ChoiceField(choices=RANKINGS), required=False)
    rewrites = serializers.ChoiceField(choices=REWRITES, required=False)
    reranker = serializers.ChoiceField(choices=RERANKERS, required=False)
    instruction = serializers.CharField(required=False, allow_blank=True, help_text="指令模板的代码，或指令本身")
    gap_base_threshold = serializers.FloatField(required=False, allow_null=True)
    first_share_threshold = serializers.FloatField(required=False, allow_null=True)
    thresholds_by_category = serializers.DictField(child=serializers.FloatField(), required=False)


@extend_schema_field(SettingsShapeSerializer)
class SettingsField(serializers.JSONField):
    """Settings as JSON, to RetrievalSettings."""

    def to_internal_value(self, data: Any) -> Any:
        content: Any = super().to_internal_value(data)
        try:
            return RetrievalSettings.from_json(content)
        except SettingsError as error:
            raise serializers.ValidationError(str(error), code="invalid_settings") from error


class CompareSerializer(serializers.Serializer[Any]):
    """A question and the two settings; without them the first stage alone, and the live settings."""

    question = serializers.CharField(max_length=QUESTION_LIMIT)
    first = SettingsField(required=False)
    second = SettingsField(required=False)
    as_of = serializers.DateField(required=False, allow_null=True)


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
    """`figures`: `{measured, baseline, changes}` when it is done."""

    class Meta:
        model = LabRun
        fields = [
            "id",
            "name",
            "state",
            "settings",
            "baseline",
            "as_of",
            "questions_total",
            "questions_done",
            "figures",
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
            "right_document_ids",
            "unknown_answers",
            "is_done",
            "change",
            "measured",
            "baseline",
        ]


def describe_trials(first: Trial, second: Trial, *, limit: int) -> dict[str, Any]:
    """As ComparisonSerializer says, the best `limit` documents of each."""
    return {
        "question": first.question,
        "first": _describe(first, second, limit),
        "second": _describe(second, first, limit),
    }


def _describe(trial: Trial, other: Trial, limit: int) -> dict[str, Any]:
    places = {document.document_id: document.rank for document in other.documents}
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
        "documents": [
            {
                "document": document.document_id,
                "version": document.version_id,
                "title": document.title,
                "document_number": document.document_number,
                "passage": document.passage_id,
                "passage_text": document.passage_text,
                "rank": document.rank,
                "first_stage_rank": document.first_stage_rank,
                "other_rank": places.get(document.document_id),
                "movement": describe_movement(document.rank, places.get(document.document_id)).text,
                "log_odds": document.log_odds,
                "relevance_score": document.relevance_score,
                "first_stage_features": dict(document.first_stage_features),
            }
            for document in trial.documents[:limit]
        ],
    }
