"""What goes in and out of /api/v1/."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from hotline.labels import REASONS
from hotline.models import Lookup, QueryVariant, Result, ResultPassage, SecondaryReview, Ticket
from hotline.services.tickets import QUESTION_LIMIT
from kb.models import DocumentVersion, Passage, PolicyDocument, Upload

RERANK_LIMIT = 200
CONTENT_LIMIT = 100_000


class AskSerializer(serializers.Serializer[Any]):
    """A question, as of a day, among what the filters let through."""

    question = serializers.CharField(max_length=QUESTION_LIMIT)
    as_of = serializers.DateField(required=False, allow_null=True)
    regions = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    levels = serializers.ListField(child=serializers.CharField(max_length=10), required=False)
    categories = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    include_not_in_force = serializers.BooleanField(required=False)
    instruction = serializers.SlugField(max_length=50, required=False, allow_blank=True)
    ticket = serializers.SlugRelatedField(
        slug_field="number", queryset=Ticket.objects.all(), required=False, allow_null=True
    )

    def filters(self) -> dict[str, Any]:
        names = ("regions", "levels", "categories", "include_not_in_force")
        return {name: self.validated_data[name] for name in names if name in self.validated_data}


class OpenTicketSerializer(serializers.Serializer[Any]):
    external_id = serializers.CharField(max_length=100, required=False, allow_null=True)
    question = serializers.CharField(max_length=QUESTION_LIMIT)
    caller = serializers.CharField(max_length=40, required=False, allow_blank=True)
    category = serializers.ChoiceField(choices=Ticket.Category.choices, required=False, allow_blank=True)
    region = serializers.CharField(max_length=100, required=False, allow_blank=True)
    notes = serializers.CharField(max_length=5000, required=False, allow_blank=True)


class PassageSerializer(serializers.ModelSerializer[Passage]):
    location = serializers.CharField(read_only=True)

    class Meta:
        model = Passage
        fields = ["id", "ordinal", "start", "end", "header", "text", "heading_path", "location", "page"]


class VersionSerializer(serializers.ModelSerializer[DocumentVersion]):
    """A version without its text; `status` is that of the day in `context["as_of"]`, else today's."""

    status = serializers.SerializerMethodField()
    status_label = serializers.SerializerMethodField()

    class Meta:
        model = DocumentVersion
        fields = [
            "id",
            "document",
            "number",
            "state",
            "title",
            "document_number",
            "issuer",
            "level",
            "region",
            "category",
            "issued_on",
            "effective_on",
            "expires_on",
            "repealed_on",
            "superseded_on",
            "repealed_by",
            "status",
            "status_label",
        ]

    def get_status(self, version: DocumentVersion) -> str:
        return self._status(version).value

    def get_status_label(self, version: DocumentVersion) -> str:
        return self._status(version).label

    def _status(self, version: DocumentVersion) -> Any:
        day = self.context.get("as_of")
        return version.status_on(day) if day else version.status_today


class FullVersionSerializer(VersionSerializer):
    passages = PassageSerializer(many=True, read_only=True)

    class Meta(VersionSerializer.Meta):
        fields = [*VersionSerializer.Meta.fields, "text", "page_starts", "warnings", "passages"]


class DocumentSerializer(serializers.ModelSerializer[PolicyDocument]):
    versions = VersionSerializer(many=True, read_only=True)

    class Meta:
        model = PolicyDocument
        fields = ["id", "external_id", "versions"]


class UploadSerializer(serializers.ModelSerializer[Upload]):
    versions: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Upload
        fields = [
            "id",
            "name",
            "sha256",
            "size",
            "format",
            "state",
            "error_code",
            "error",
            "warnings",
            "created_at",
            "parsed_at",
            "versions",
        ]


class UploadFileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(allow_empty_file=True)


class HighlightSerializer(serializers.Serializer[Any]):
    """A sentence that answers: offsets in the passage's text, and its text."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    text = serializers.CharField()


class ResultPassageSerializer(serializers.ModelSerializer[ResultPassage]):
    """In the order of the page, the strongest answer first. `score`: the first stage's, 0 where it is not of its best.

    `highlights` come in the order of the text.
    """

    passage = PassageSerializer(read_only=True)
    highlights = serializers.SerializerMethodField()

    class Meta:
        model = ResultPassage
        fields = ["passage", "score", "highlights"]

    def get_highlights(self, row: ResultPassage) -> list[dict[str, Any]]:
        return [{"start": s, "end": e, "text": row.passage.text[s:e]} for s, e in sorted(row.highlights)]


class ResultSerializer(serializers.ModelSerializer[Result]):
    document = VersionSerializer(source="version", read_only=True)
    passages = ResultPassageSerializer(many=True, read_only=True)

    class Meta:
        model = Result
        fields = [
            "id",
            "rank",
            "first_stage_rank",
            "first_stage_score",
            "log_odds",
            "relevance_score",
            "is_adopted",
            "document",
            "passages",
        ]


class VariantSerializer(serializers.ModelSerializer[QueryVariant]):
    class Meta:
        model = QueryVariant
        fields = ["ordinal", "kind", "text", "explanation", "is_used"]


class ReviewSerializer(serializers.ModelSerializer[SecondaryReview]):
    class Meta:
        model = SecondaryReview
        fields = ["state", "machine_check", "verdict", "picked", "note", "created_at", "decided_at"]


class LookupSerializer(serializers.ModelSerializer[Lookup]):
    """A lookup with its best results. `is_final`: the order will not change any more."""

    ticket: Any = serializers.SlugRelatedField(slug_field="number", read_only=True)
    is_final = serializers.BooleanField(read_only=True)
    reason_labels = serializers.SerializerMethodField()
    variants = VariantSerializer(many=True, read_only=True)
    review = serializers.SerializerMethodField()
    results = serializers.SerializerMethodField()

    class Meta:
        model = Lookup
        fields = [
            "id",
            "ticket",
            "question",
            "as_of",
            "filters",
            "instruction",
            "state",
            "is_final",
            "created_at",
            "finished_at",
            "engine",
            "reranker",
            "reranker_revision",
            "is_calibrated",
            "notices",
            "gap",
            "gap_threshold",
            "first_share",
            "reasons",
            "reason_labels",
            "milliseconds",
            "steps",
            "without",
            "rule_versions",
            "variants",
            "review",
            "results",
        ]

    def get_reason_labels(self, lookup: Lookup) -> list[str]:
        return [REASONS.get(reason, reason) for reason in lookup.reasons]

    def get_review(self, lookup: Lookup) -> dict[str, Any] | None:
        review = getattr(lookup, "review", None)
        return ReviewSerializer(review).data if review else None

    def get_results(self, lookup: Lookup) -> Any:
        shown = lookup.results.all()[: settings.RESULT_LIMIT]
        return ResultSerializer(shown, many=True, context={**self.context, "as_of": lookup.as_of}).data


class TicketSerializer(serializers.ModelSerializer[Ticket]):
    lookups: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Ticket
        fields = [
            "number",
            "external_id",
            "state",
            "category",
            "question",
            "caller",
            "region",
            "notes",
            "answer",
            "transferred_to",
            "created_at",
            "updated_at",
            "lookups",
        ]


class RerankDocumentSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=200)
    title = serializers.CharField(max_length=500, required=False, allow_blank=True)
    content = serializers.CharField(max_length=CONTENT_LIMIT)


class RerankSerializer(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=QUESTION_LIMIT)
    documents: Any = RerankDocumentSerializer(many=True, allow_empty=False, max_length=RERANK_LIMIT)  # type: ignore[call-arg]
    instruction = serializers.SlugField(max_length=50, required=False, allow_blank=True)

    def validate_documents(self, documents: list[dict[str, str]]) -> list[dict[str, str]]:
        if len({document["id"] for document in documents}) < len(documents):
            raise serializers.ValidationError("文档 id 不能重复。", code="duplicate_id")
        return documents


class RerankedSerializer(serializers.Serializer[Any]):
    """`scores` (0 to 1) and `log_odds` in the order of `reranked_ids`; null for what was not reached in time.

    `calibrated`: whether the scores are probabilities; otherwise only their order and differences mean something.
    """

    reranked_ids = serializers.ListField(child=serializers.CharField())
    scores = serializers.ListField(child=serializers.FloatField(allow_null=True))
    log_odds = serializers.ListField(child=serializers.FloatField(allow_null=True))
    reranker = serializers.CharField()
    revision = serializers.CharField()
    calibrated = serializers.BooleanField()
    notices = serializers.ListField(child=serializers.CharField())


class ProblemSerializer(serializers.Serializer[Any]):
    """The one form of every error."""

    type = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors: Any = serializers.ListField(child=serializers.DictField())
