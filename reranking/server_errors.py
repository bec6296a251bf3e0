"""Every error of the server in one form: `{"error": {"code", "message"}}`, the code stable and snake_case."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from reranking.embedding import EmbedderUnavailable
from reranking.server_queue import QueueClosed, QueueFull
from reranking.types import NonFiniteScore, RerankerError, RerankerUnavailable

logger = logging.getLogger(__name__)

SECONDS_UNTIL_RETRY = 5

MESSAGES_BY_STATUS = {404: ("not_found", "没有这个地址"), 405: ("method_not_allowed", "该地址不支持这种请求方法")}


class ApiError(Exception):
    """An answer other than 2xx: HTTP status, code, and a message for people. `hang_up` ends the connection."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None, hang_up: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.hang_up = hang_up

    def to_response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.hang_up:
            headers["Connection"] = "close"
        content = {"error": {"code": self.code, "message": self.message}}
        return JSONResponse(content, status_code=self.status, headers=headers)


def describe_error(error: Exception) -> ApiError:
    """What a caller is told of an exception; an unforeseen one is logged with its trace and tells nothing of it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, QueueFull):
        return ApiError(429, "queue_full", "等待重排的请求过多，请稍后重试", retry_after=error.retry_after)
    if isinstance(error, QueueClosed):
        return ApiError(503, "shutting_down", "服务正在停止", retry_after=SECONDS_UNTIL_RETRY)
    if isinstance(error, RerankerError):
        return _describe_reranker_error(error)
    if isinstance(error, ValidationError):
        return ApiError(422, "invalid_request", describe_validation(error))
    if isinstance(error, HTTPException):
        code, message = MESSAGES_BY_STATUS.get(error.status_code, ("http_error", error.detail))
        return ApiError(error.status_code, code, message)
    logger.error("request failed", exc_info=error)
    return ApiError(500, "internal_error", "服务内部错误")


def _describe_reranker_error(error: RerankerError) -> ApiError:
    logger.warning("reranker failed: %s", error)
    if isinstance(error, NonFiniteScore):
        return ApiError(503, error.code, "模型给出了无效的分数，未作排序")
    if isinstance(error, EmbedderUnavailable):
        return ApiError(503, error.code, "嵌入模型暂不可用", retry_after=SECONDS_UNTIL_RETRY)
    if isinstance(error, RerankerUnavailable):
        return ApiError(503, error.code, "重排模型暂不可用", retry_after=SECONDS_UNTIL_RETRY)
    return ApiError(503, error.code, "模型没有给出可用的结果")


def describe_validation(error: ValidationError) -> str:
    """Where the first faults lie and what they are, without repeating the caller's text."""
    faults = [f"{'.'.join(map(str, fault['loc'])) or '请求体'}: {fault['msg']}" for fault in error.errors()[:3]]
    return "请求格式不正确：" + "；".join(faults)


async def handle_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for every kind of exception."""
    return describe_error(error).to_response()


EXCEPTION_HANDLERS: dict[Any, Any] = dict.fromkeys(
    (ApiError, QueueFull, QueueClosed, RerankerError, ValidationError, HTTPException), handle_error
)
