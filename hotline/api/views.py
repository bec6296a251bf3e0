"""Views of /api/v1/: check the request, call a service or selector, give the answer."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hotline.api import serializers
from hotline.api.permissions import Scope
from hotline.instructions import require_template
from hotline.models import APIKey, Lookup, ResultPassage, Ticket, User
from hotline.selectors import is_settled, readable_results
from hotline.services.lookups import readable_departments, start_lookup
from hotline.services.rerank_jobs import rerank_documents
from hotline.services.tickets import open_ticket
from hotline.system_status import describe_system
from kb.models import DocumentVersion, PolicyDocument, Upload
from kb.selectors import readable_versions
from kb.services.uploads import register_upload

WAIT = OpenApiParameter("wait", bool, description="1：等到重排和机器校验完成或时限已到再返回")
PROBLEMS = {400: serializers.ProblemSerializer, 401: serializers.ProblemSerializer, 403: serializers.ProblemSerializer}
REFUSALS = {422: serializers.ProblemSerializer, 503: serializers.ProblemSerializer}
POLL_SECONDS = 0.03
STORING_SECONDS = 1.0  # beside the latency budget, for the queue and for storing; a lease is at least as long (E005)


class TicketListView(generics.ListAPIView[Ticket]):
    """Tickets, newest first."""

    required_scope = Scope.TICKETS
    serializer_class = serializers.TicketSerializer

    def get_queryset(self) -> QuerySet[Ticket]:
        tickets = Ticket.objects.prefetch_related("lookups")
        wanted = self.request.query_params
        if wanted.get("external_id"):
            tickets = tickets.filter(external_id=wanted["external_id"])
        if wanted.get("state"):
            tickets = tickets.filter(state=wanted["state"])
        return tickets

    @extend_schema(parameters=[OpenApiParameter("external_id", str), OpenApiParameter("state", str)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=serializers.OpenTicketSerializer,
        parameters=[WAIT],
        responses={201: serializers.TicketSerializer, 200: serializers.TicketSerializer, **PROBLEMS},
        description="建立工单并立即检索。同一 external_id 再次提交返回原工单（200）。",
    )
    def post(self, request: Request) -> Response:
        form = serializers.OpenTicketSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        ticket, created = open_ticket(**form.validated_data, by=caller_person(request), api_key=caller_key(request))
        lookup = ticket.lookups.order_by("-id").first()
        if lookup:
            _wait_if_asked(request, lookup)
        else:
            lookup = _ask(request, question=ticket.question, ticket=ticket)
        body = {**serializers.TicketSerializer(ticket).data, "lookup": _describe(request, lookup)}
        return Response(body, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class TicketView(generics.RetrieveAPIView[Ticket]):
    required_scope = Scope.TICKETS
    serializer_class = serializers.TicketSerializer
    queryset = Ticket.objects.prefetch_related("lookups")
    lookup_field = "number"


class LookupListView(APIView):
    required_scope = Scope.LOOKUPS

    @extend_schema(
        request=serializers.AskSerializer,
        parameters=[WAIT],
        responses={201: serializers.LookupSerializer, **PROBLEMS, **REFUSALS},
        description="提问。返回初筛结果；加 ?wait=1 则等重排完成（不超过时限）。",
    )
    def post(self, request: Request) -> Response:
        form = serializers.AskSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        lookup = _ask(
            request,
            question=asked["question"],
            ticket=asked.get("ticket"),
            as_of=asked.get("as_of"),
            filters=form.filters(),
            instruction=require_template(asked.get("instruction", "")),
        )
        return Response(_describe(request, lookup), status=status.HTTP_201_CREATED)


class LookupView(APIView):
    required_scope = Scope.LOOKUPS

    @extend_schema(responses={200: serializers.LookupSerializer, 404: serializers.ProblemSerializer})
    def get(self, request: Request, pk: int) -> Response:
        lookup = _load_lookup(request, pk)
        if lookup is None:
            raise Http404
        return Response(serializers.LookupSerializer(lookup, context={"request": request}).data)


class RerankView(APIView):
    required_scope = Scope.LOOKUPS

    @extend_schema(
        request=serializers.RerankSerializer,
        responses={200: serializers.RerankedSerializer, **PROBLEMS, **REFUSALS},
        description="把所给文档按与问题的相关程度排序，不检索、不存储。",
    )
    def post(self, request: Request) -> Response:
        form = serializers.RerankSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        wait = settings.RERANK_LATENCY_BUDGET_SECONDS + 2
        return Response(
            rerank_documents(
                query=asked["query"],
                documents=asked["documents"],
                instruction=asked.get("instruction", ""),
                wait_seconds=wait,
            )
        )


class DocumentListView(generics.ListAPIView[PolicyDocument]):
    """Published policies with their versions, newest first."""

    required_scopes = {"GET": Scope.DOCUMENTS_READ, "POST": Scope.DOCUMENTS_WRITE}
    serializer_class = serializers.DocumentSerializer
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[PolicyDocument]:
        versions = _readable(self.request)
        if query := self.request.query_params.get("q", "").strip():
            versions = versions.filter(title__icontains=query) | versions.filter(document_number__icontains=query)
        documents = PolicyDocument.objects.filter(versions__in=versions).distinct()
        shown = _readable(self.request).defer("text", "page_starts").order_by("-number")
        return documents.prefetch_related(Prefetch("versions", queryset=shown))

    @extend_schema(parameters=[OpenApiParameter("q", str, description="标题或发文字号中的文字")])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request={"multipart/form-data": serializers.UploadFileSerializer},
        responses={
            202: serializers.UploadSerializer,
            200: OpenApiResponse(serializers.UploadSerializer, description="同一文件此前已上传"),
            **PROBLEMS,
        },
        description="上传一个政策文件；在后台解析为草稿，由知识管理员核对后发布。",
    )
    def post(self, request: Request) -> Response:
        form = serializers.UploadFileSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        file = form.validated_data["file"]
        upload, created = register_upload(name=file.name, data=file, by=caller_person(request))
        code = status.HTTP_202_ACCEPTED if created else status.HTTP_200_OK
        return Response(serializers.UploadSerializer(upload).data, status=code)


class DocumentView(generics.RetrieveAPIView[PolicyDocument]):
    required_scope = Scope.DOCUMENTS_READ
    serializer_class = serializers.DocumentSerializer

    def get_queryset(self) -> QuerySet[PolicyDocument]:
        shown = _readable(self.request).defer("text", "page_starts").order_by("-number")
        documents = PolicyDocument.objects.filter(versions__in=_readable(self.request)).distinct()
        return documents.prefetch_related(Prefetch("versions", queryset=shown))


class VersionView(generics.RetrieveAPIView[DocumentVersion]):
    """A version with its text and passages."""

    required_scope = Scope.DOCUMENTS_READ
    serializer_class = serializers.FullVersionSerializer

    def get_queryset(self) -> QuerySet[DocumentVersion]:
        return _readable(self.request).prefetch_related("passages")


class UploadView(generics.RetrieveAPIView[Upload]):
    required_scope = Scope.DOCUMENTS_WRITE
    serializer_class = serializers.UploadSerializer
    queryset = Upload.objects.prefetch_related("versions")


class StatusView(APIView):
    """What runs, on what, and how it does."""

    required_scope = Scope.LOOKUPS

    @extend_schema(responses={200: dict})
    def get(self, request: Request) -> Response:
        return Response(describe_system())


def _ask(request: Request, **asked: Any) -> Lookup:
    lookup = start_lookup(**asked, by=caller_person(request), api_key=caller_key(request))
    _wait_if_asked(request, lookup)
    return lookup


def _wait_if_asked(request: Request, lookup: Lookup) -> None:
    """Until order and machine check are there, at most the latency budget and STORING_SECONDS: time for the order."""
    if request.query_params.get("wait", "") not in {"1", "true"}:
        return
    deadline = time.monotonic() + settings.RERANK_LATENCY_BUDGET_SECONDS + STORING_SECONDS
    while not is_settled(lookup.pk) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _describe(request: Request, lookup: Lookup) -> Any:
    return serializers.LookupSerializer(_load_lookup(request, lookup.pk), context={"request": request}).data


def _load_lookup(request: Request, pk: int) -> Lookup | None:
    """With those of its results that the caller may read."""
    results = readable_results(caller_person(request), caller_key(request)).select_related("version").order_by("rank")
    results = results.filter(rank__lte=settings.RESULT_LIMIT)
    results = results.defer("features", "version__text", "version__page_starts", "version__warnings")
    rows = ResultPassage.objects.select_related("passage")
    lookups = Lookup.objects.select_related("ticket", "review").prefetch_related(
        "variants",
        Prefetch("results", queryset=results),
        Prefetch("results__passages", queryset=rows),
        "review__picked",
    )
    return lookups.filter(pk=pk).first()


def _readable(request: Any) -> QuerySet[DocumentVersion]:
    return readable_versions(departments=readable_departments(caller_person(request), caller_key(request)))


def caller_person(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


def caller_key(request: Request) -> APIKey | None:
    return request.auth if isinstance(request.auth, APIKey) else None
