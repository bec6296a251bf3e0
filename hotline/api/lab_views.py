"""Views of /api/v1/lab/: the retrieval laboratory."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hotline.api import lab_serializers
from hotline.api.permissions import Scope
from hotline.api.serializers import ProblemSerializer
from hotline.api.views import PROBLEMS, caller_key, caller_person
from hotline.errors import DeskError
from hotline.lab_export import NAMES, export_rows
from hotline.lab_pages import list_rows
from hotline.live_settings import get_live_settings
from hotline.models import LabRow, LabRun
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import lab_runs
from hotline.services.lookups import readable_departments
from hotline.trials import run_trial
from kb.tables import CONTENT_TYPES
from kb.web import read_file

FIRST_STAGE = RetrievalSettings(reranker="none")
SHOWS = ("better", "worse", "sent", "unknown", "failed")


class CompareView(APIView):
    required_scope = Scope.LAB

    @extend_schema(
        request=lab_serializers.CompareSerializer,
        responses={200: lab_serializers.ComparisonSerializer, **PROBLEMS, 503: ProblemSerializer},
        description="同一问题在两种检索设置下的次序；不给设置时，比较初筛与线上设置。不存储。",
    )
    def post(self, request: Request) -> Response:
        form = lab_serializers.CompareSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        as_of = asked.get("as_of") or timezone.localdate()
        departments = readable_departments(caller_person(request), caller_key(request))
        first, second = (
            run_trial(asked["question"], chosen, as_of=as_of, departments=departments)
            for chosen in (asked.get("first", FIRST_STAGE), asked.get("second") or get_live_settings())
        )
        return Response(lab_serializers.describe_trials(first, second, limit=settings.RESULT_LIMIT))


class RunListView(generics.ListAPIView[LabRun]):
    """Runs, newest first."""

    required_scope = Scope.LAB
    serializer_class = lab_serializers.RunSerializer
    parser_classes = [MultiPartParser]
    queryset = LabRun.objects.order_by("-id")

    @extend_schema(
        request={"multipart/form-data": lab_serializers.NewRunSerializer},
        responses={202: lab_serializers.RunSerializer, **PROBLEMS},
        description="上传 50 到 10000 个问题（TXT、CSV、XLSX），在后台用试验设置与基线各问一遍。",
    )
    def post(self, request: Request) -> Response:
        form = lab_serializers.NewRunSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        run = lab_runs.create_run(
            name=asked["file"].name,
            data=read_file(asked["file"]),
            settings=asked.get("settings") or get_live_settings(),
            baseline=asked.get("baseline"),
            as_of=asked.get("as_of"),
            by=caller_person(request),
            api_key=caller_key(request),
        )
        return Response(lab_serializers.RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class RunView(generics.RetrieveAPIView[LabRun]):
    """A run: how far it is, and its figures when it is done."""

    required_scope = Scope.LAB
    serializer_class = lab_serializers.RunSerializer
    queryset = LabRun.objects.all()


class RowListView(generics.ListAPIView[LabRow]):
    """A run's questions, in the file's order."""

    required_scope = Scope.LAB
    serializer_class = lab_serializers.RowSerializer

    def get_queryset(self) -> QuerySet[LabRow]:
        if getattr(self, "swagger_fake_view", False):
            return LabRow.objects.none()
        run = get_object_or_404(LabRun, pk=self.kwargs["pk"])
        return list_rows(run, show=self.request.query_params.get("show", ""))

    @extend_schema(parameters=[OpenApiParameter("show", str, enum=SHOWS)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ExportView(APIView):
    required_scope = Scope.LAB

    @extend_schema(
        parameters=[OpenApiParameter("as", str, enum=list(NAMES), description="默认 csv")],
        responses={(200, "text/csv"): OpenApiTypes.BINARY, 400: ProblemSerializer, 404: ProblemSerializer},
        description="全部问题的表格。",
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        run = get_object_or_404(LabRun, pk=pk)
        format_name = request.query_params.get("as", "csv")
        if format_name not in NAMES:
            raise DeskError("只能导出 csv 或 xlsx。", code="unknown_format")
        departments = readable_departments(caller_person(request), caller_key(request))
        table = export_rows(run, format_name, departments=departments)
        response = HttpResponse(table, content_type=CONTENT_TYPES[format_name])
        response["Content-Disposition"] = f'attachment; filename="lab-run-{run.pk}.{format_name}"'
        return response
