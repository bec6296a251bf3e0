"""What the knowledge pages send. Services check meaning; forms check shape."""

from __future__ import annotations

from typing import Any

from django import forms

from kb.models import DocumentVersion

DATE_ERROR = {"invalid": "日期应写作 2025-03-01。"}


def day_field(label: str, *, required: bool = False, help_text: str = "") -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(
        label=label, required=required, widget=widget, help_text=help_text, error_messages=DATE_ERROR
    )


class DocumentFilterForm(forms.Form):
    """Search and status of the document list."""

    STATUSES = [
        ("", "全部"),
        ("draft", "草稿"),
        ("in_force", "现行有效"),
        ("not_yet_in_force", "尚未施行"),
        ("ended", "已废止、被取代或过期"),
        ("withdrawn", "已撤回"),
    ]
    q = forms.CharField(label="标题、发文字号或发文机关", required=False, max_length=100)
    status = forms.ChoiceField(label="状态", required=False, choices=STATUSES)


class MetadataForm(forms.ModelForm):
    """What was read from the file, to be corrected."""

    issued_on = day_field("发布日期")
    effective_on = day_field("施行日期")
    expires_on = day_field("失效日期", help_text="有效期的最后一天")

    class Meta:
        model = DocumentVersion
        fields = (
            "title",
            "document_number",
            "issuer",
            "level",
            "region",
            "category",
            "issued_on",
            "effective_on",
            "expires_on",
            "departments",
        )
        help_texts = {"departments": "不选则所有坐席可见"}
        widgets = {"departments": forms.CheckboxSelectMultiple}

    def changes(self) -> dict[str, Any]:
        """What differs from what is stored."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class RepealForm(forms.Form):
    on = day_field("废止日期", required=True, help_text="自这一天起不再执行")
    reason = forms.CharField(label="废止依据", max_length=500)


class ChainForm(forms.Form):
    """Of which policy this text is a newer version."""

    document = forms.IntegerField(label="政策", error_messages={"required": "请选择一项政策。"})


class DayForm(forms.Form):
    day = day_field("查看哪一天的状态")
