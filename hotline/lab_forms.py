"""What the laboratory's pages send."""

from __future__ import annotations

from typing import Any

from django import forms

from hotline import labels
from hotline.explanations import name_ranking
from hotline.instructions import list_instructions
from hotline.lab_pages import list_indexes
from hotline.live_settings import get_live_settings
from hotline.models import LabRow, Ticket
from hotline.retrieval_settings import INSTRUCTION_LIMIT, RANKINGS, RetrievalSettings, SettingsError, name_revision
from hotline.services.tickets import QUESTION_LIMIT
from hotline.threshold_advice import find_live_reranker

CATEGORIES = {code: str(label) for code, label in Ticket.Category.choices if code}
CATEGORY = "category_"  # before the code of a line of business, of which a field holds the threshold
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class QuestionForm(forms.Form):
    q = forms.CharField(label="问题", required=False, max_length=QUESTION_LIMIT)
    category = forms.ChoiceField(label="业务类型", required=False, choices=Ticket.Category.choices)
    as_of = forms.DateField(
        label="以哪一天为准", required=False, widget=DAY, error_messages={"invalid": "日期应写作 2025-03-01。"}
    )


class SettingsForm(forms.Form):
    """Retrieval settings; with a prefix there may be two on a page."""

    reranker = forms.ChoiceField(label="重排器", required=False, choices=list(labels.RERANKER_CHOICES.items()))
    rewrites = forms.ChoiceField(label="改写", required=False, choices=list(labels.REWRITE_CHOICES.items()))
    semantic = forms.ChoiceField(label="语义召回", required=False, choices=list(labels.SEMANTIC_CHOICES.items()))
    index = forms.ChoiceField(label="索引", required=False)
    rankings = forms.MultipleChoiceField(
        label="词元（不选即全部）",
        required=False,
        choices=[(name, name_ranking(name)) for name in RANKINGS],
        widget=forms.CheckboxSelectMultiple,
    )
    template = forms.ChoiceField(label="指令模板", required=False)
    instruction = forms.CharField(
        label="自拟指令（写了就用它）",
        required=False,
        max_length=INSTRUCTION_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    gap_base_threshold = forms.FloatField(label="分差阈值", required=False, help_text="空：随配置")
    first_share_threshold = forms.FloatField(label="首位占比阈值", required=False, help_text="空：随重排版本")
    thresholds_for = forms.ChoiceField(label="以上阈值用于", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["index"].choices = list_indexes()  # type: ignore[attr-defined]
        self.fields["template"].choices = [("", "随业务类型"), *list_templates()]  # type: ignore[attr-defined]
        for code, label in CATEGORIES.items():
            self.fields[f"{CATEGORY}{code}"] = forms.FloatField(label=label, required=False)
        sent = self.data.get(self.add_prefix("thresholds_for")) or self.initial.get("thresholds_for")
        named = dict.fromkeys([name_revision(*find_live_reranker()), get_live_settings().thresholds_for, sent])
        belonging = [(name, f"只用于 {name}") for name in named if name]
        self.fields["thresholds_for"].choices = [("", "任何重排"), *belonging]  # type: ignore[attr-defined]

    @property
    def category_fields(self) -> list[forms.BoundField]:
        """Thresholds by line of business."""
        return [self[f"{CATEGORY}{code}"] for code in CATEGORIES]

    @property
    def has_details(self) -> bool:
        """Whether anything but the first three fields is said."""
        names = ["instruction", "index", "rankings", "gap_base_threshold", "first_share_threshold"]
        said = [field.value() for field in (*(self[name] for name in names), *self.category_fields)]
        is_said = any(value not in (None, "", [], ()) for value in said) or self["semantic"].value() == "none"
        return bool(self.errors) or is_said

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or {}
        if not self.errors:
            own = {name.removeprefix(CATEGORY): chosen.pop(name) for name in [*chosen] if name.startswith(CATEGORY)}
            values = {name: chosen[name] for name in chosen if name != "template"}
            values["thresholds_by_category"] = own
            values["instruction"] = chosen.get("instruction") or chosen.get("template", "")
            try:
                chosen["settings"] = RetrievalSettings.from_json(values)
            except SettingsError as error:
                raise forms.ValidationError(str(error)) from error
        return chosen


class RunForm(forms.Form):
    file = forms.FileField(label="问题文件", error_messages={"required": "请选择文件。", "empty": "文件是空的。"})


class RowsForm(forms.Form):
    show = forms.ChoiceField(
        required=False,
        choices=[
            ("", "全部"),
            *[(value, label) for value, label in LabRow.Change.choices if value in {"better", "worse"}],
            ("sent", "送复核"),
            ("unknown", "答案找不到"),
            ("failed", "未能提问"),
        ],
    )


class TemplateForm(forms.Form):
    """An instruction kept under a name."""

    key = forms.SlugField(
        label="代码",
        max_length=50,
        error_messages={"required": "请写代码。", "invalid": "代码只能用字母、数字、- 和 _。"},
    )
    label = forms.CharField(label="名称", max_length=100, error_messages={"required": "请写名称。"})
    text = forms.CharField(label="指令", max_length=INSTRUCTION_LIMIT, error_messages={"required": "指令是空的。"})


class GapForm(forms.Form):
    question = forms.CharField(label="问题", max_length=QUESTION_LIMIT, error_messages={"required": "请写问题。"})
    note = forms.CharField(label="缺什么", required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


def list_templates() -> list[tuple[str, str]]:
    return [(template.key, template.label) for template in list_instructions()]


def settings_initial(value: RetrievalSettings) -> dict[str, Any]:
    """A form's first values from settings."""
    content = value.to_json()
    is_template = value.instruction in dict(list_templates())
    own = {f"{CATEGORY}{code}": threshold for code, threshold in value.thresholds_by_category.items()}
    return {
        **content,
        **own,
        "template": value.instruction if is_template else "",
        "instruction": "" if is_template else value.instruction,
    }
