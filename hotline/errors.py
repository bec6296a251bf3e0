"""What the desk refuses, with a stable code, an HTTP status and a sentence in Chinese."""

from __future__ import annotations


class DeskError(Exception):
    code = "desk_error"
    status = 400

    def __init__(self, message: str = "", *, code: str = "", status: int = 0) -> None:
        super().__init__(message or "操作未能完成。")
        self.code = code or self.code
        self.status = status or self.status


class EmptyQuestion(DeskError):
    code = "empty_question"

    def __init__(self) -> None:
        super().__init__("请输入问题。")


class QuestionTooLong(DeskError):
    code = "question_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"问题超过 {limit} 字，请缩短后再查。")


class SearchUnavailable(DeskError):
    code = "search_unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__("检索服务暂时不可用，请稍后重试；问题已保留。")


class UnknownIndex(DeskError):
    code = "unknown_index"

    def __init__(self, name: str) -> None:
        super().__init__(f"没有名为“{name}”的索引，请从现有的索引中选。")


class UnknownInstruction(DeskError):
    code = "unknown_instruction"
    status = 422

    def __init__(self, key: str) -> None:
        super().__init__(f"没有代码为“{key}”的指令模板。")


class NotAllowed(DeskError):
    code = "not_allowed"
    status = 403


class WrongState(DeskError):
    """The thing has moved on since the page was drawn."""

    code = "wrong_state"
    status = 409


class LiveChanged(WrongState):
    """What is live is not what it was when the form was opened; `what` with who changed it when."""

    code = "live_changed"

    def __init__(self, what: str) -> None:
        super().__init__(f"你打开这一页之后，{what}。没有提交；请先看现在的内容，再决定要不要改。")
