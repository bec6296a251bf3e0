"""What the pages of golden questions and live settings send."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from hotline.models import Ticket
from hotline.services.golden_questions import NOTE_LIMIT
from hotline.services.tickets import QUESTION_LIMIT
from kb.selectors import find_documents_by_name

_NUMBERED = re.compile(r"(\d{1,18})\s+\S")  # “12 物业管理条例”, as the form itself writes it


class GoldenSearchForm(forms.Form):
    q = forms.CharField(label="问题或政策名称", required=False, max_length=100)
    category = forms.ChoiceField(label="业务类型", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(value, label) for value, label in Ticket.Category.choices if value]
        self.fields["category"].choices = [("", "全部业务"), *named]  # type: ignore[attr-defined]


class GoldenQuestionForm(forms.Form):
    """A question and its right policies, a line each: an id, a title or a 发文字号."""

    question = forms.CharField(
        label="问题",
        max_length=QUESTION_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "请写问题。"},
    )
    policies = forms.CharField(
        label="正确的政策",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="每行一项：编号、标题或发文字号",
        error_messages={"required": "请至少写一项正确的政策。"},
    )
    category = forms.ChoiceField(label="业务类型", required=False, choices=Ticket.Category.choices)
    note = forms.CharField(label="备注", required=False, max_length=NOTE_LIMIT)

    def clean_policies(self) -> frozenset[int]:
        """The policies' ids."""
        lines = [line.strip().strip("《》") for line in self.cleaned_data["policies"].splitlines() if line.strip()]
        names = [match[1] if (match := _NUMBERED.match(line)) else line for line in lines]
        found = find_documents_by_name(names)
        if unknown := [name for name in names if name not in found]:
            raise forms.ValidationError(f"知识库里没有：{'、'.join(unknown)}。")
        return frozenset().union(*(found[name] for name in names))


class GoldenImportForm(forms.Form):
    file = forms.FileField(label="文件", error_messages={"required": "请选择文件。", "empty": "文件是空的。"})


class ReasonForm(forms.Form):
    note = forms.CharField(label="放行理由", max_length=NOTE_LIMIT, error_messages={"required": "请写明理由。"})


class TargetForm(forms.Form):
    """The error of the unreviewed that is put up with, in percent."""

    target = forms.FloatField(label="未复核的错误率不超过（%）", min_value=1, max_value=50, required=False)
