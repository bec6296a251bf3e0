"""Views of /api/v1/lab/: the retrieval laboratory."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

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
from hotline.instructions import list_instructions
from hotline.lab_columns import build_columns
from hotline.lab_export import NAMES, send_run
from hotline.lab_pages import are_same_questions, find_comparable_runs, list_rows, name_differing_conditions
from hotline.live_settings import get_live_settings
from hotline.models import LabRow, LabRun
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import lab_runs
from hotline.services.lookups import readable_departments
from hotline.trials import run_trial
from kb.web import read_file

FIRST_STAGE = RetrievalSettings(reranker="none")
RUN_OR_CONFLICT = {200: lab_serializers.RunSerializer, 404: ProblemSerializer, 409: ProblemSerializer}
SHOWS = ("better", "worse", "sent", "unknown", "failed")


class CompareView(APIView):
    required_scope = Scope.LAB

    @extend_schema(
        request=lab_serializers.CompareSerializer,
        responses={200: lab_serializers.ComparisonSerializer, **PROBLEMS, 503: ProblemSerializer},
        description="同一问题在两种检索设置下的次序、得分由来与建议；不给设置时，比较初筛与线上设置。不存储。",
    )
    def post(self, request: Request) -> Response:
        form = lab_serializers.CompareSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        as_of = asked.get("as_of") or timezone.localdate()
        departments = readable_departments(caller_person(request), caller_key(request))
        trials = [
            run_trial(
                asked["question"], chosen, as_of=as_of, category=asked.get("category", ""), departments=departments
            )
            for chosen in (asked.get("first", FIRST_STAGE), asked.get("second") or get_live_settings())
        ]
        first, second = build_columns(trials, as_of=as_of, departments=departments)
        return Response(lab_serializers.describe_columns(first, second))


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


class StopRunView(APIView):
    required_scope = Scope.LAB

    @extend_schema(request=None, responses=RUN_OR_CONFLICT, description="停止；已结束的为 409。")
    def post(self, request: Request, pk: int) -> Response:
        run = lab_runs.stop_run(run=get_object_or_404(LabRun, pk=pk), by=caller_person(request))
        return Response(lab_serializers.RunSerializer(run).data)


class ResumeRunView(APIView):
    required_scope = Scope.LAB

    @extend_schema(request=None, responses=RUN_OR_CONFLICT, description="从断处继续；没有停下的为 409。")
    def post(self, request: Request, pk: int) -> Response:
        run = lab_runs.resume_run(run=get_object_or_404(LabRun, pk=pk), by=caller_person(request))
        return Response(lab_serializers.RunSerializer(run).data)


class RunComparisonView(APIView):
    required_scope = Scope.LAB

    @extend_schema(
        parameters=[OpenApiParameter("run", int, many=True, description="两到四次已完成的实验")],
        responses={200: lab_serializers.RunComparisonSerializer, 400: ProblemSerializer},
        description="已完成的实验的指标，及能否相比。",
    )
    def get(self, request: Request) -> Response:
        runs = find_comparable_runs(request.query_params.getlist("run"))
        body = {
            "runs": lab_serializers.RunSerializer(runs, many=True).data,
            "has_same_questions": are_same_questions(runs),
            "differing": name_differing_conditions(runs),
        }
        return Response(body)


class InstructionListView(APIView):
    required_scope = Scope.LAB

    @extend_schema(
        responses={200: lab_serializers.InstructionSerializer(many=True)},
        description="指令模板：随产品的，与管理员自拟的（同代码时用自拟的）。",
    )
    def get(self, request: Request) -> Response:
        found = [asdict(template) for template in list_instructions()]
        return Response(lab_serializers.InstructionSerializer(found, many=True).data)


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
        return send_run(run, format_name, departments=departments)
