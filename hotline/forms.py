"""What the desk's pages send. Services check meaning; forms check shape."""

from __future__ import annotations

from typing import Any

from django import forms

from hotline.models import SecondaryReview, Ticket

DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class AskForm(forms.Form):
    """A question with its filters. Everything but the question may be left out."""

    question = forms.CharField(label="问题", error_messages={"required": "请输入问题。"})
    ticket = forms.CharField(required=False, widget=forms.HiddenInput)
    as_of = forms.DateField(
        label="以哪一天为准", required=False, widget=DAY, error_messages={"invalid": "日期应写作 2025-03-01。"}
    )
    region = forms.CharField(label="地区", required=False, max_length=100)
    category = forms.CharField(label="业务类别", required=False, max_length=100)
    include_ended = forms.BooleanField(label="含非现行文件", required=False)
    only_lookup = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def filters(self) -> dict[str, Any]:
        """The lookup's filters, as they are stored with it."""
        chosen = self.cleaned_data
        filters: dict[str, Any] = {}
        if chosen["region"]:
            filters["regions"] = [chosen["region"]]
        if chosen["category"]:
            filters["categories"] = [chosen["category"]]
        if chosen["include_ended"]:
            filters["include_not_in_force"] = True
        return filters


class NewTicketForm(forms.Form):
    """A call that has just come in."""

    caller = forms.CharField(label="来电", required=False, max_length=40)
    ticket_region = forms.CharField(label="诉求地区", required=False, max_length=100)
    ticket_category = forms.ChoiceField(label="业务类型", required=False, choices=Ticket.Category.choices)
    notes = forms.CharField(label="备注", required=False, widget=forms.Textarea(attrs={"rows": 3}))


class NotesForm(forms.Form):
    notes = forms.CharField(label="备注", required=False, strip=False)


class TransferForm(forms.Form):
    to = forms.CharField(label="转办单位", max_length=200, error_messages={"required": "请写明转办单位。"})


class AdoptForm(forms.Form):
    result = forms.IntegerField()
    passage = forms.IntegerField()


class FeedbackForm(forms.Form):
    is_helpful = forms.TypedChoiceField(choices=[("1", "有用"), ("0", "无用")], coerce=lambda value: value == "1")


class TicketSearchForm(forms.Form):
    q = forms.CharField(label="工单号、问题或来电", required=False, max_length=100)
    state = forms.ChoiceField(label="状态", required=False, choices=[("", "全部状态"), *Ticket.State.choices])


class ReviewListForm(forms.Form):
    state = forms.ChoiceField(required=False, choices=SecondaryReview.State.choices)


class DecisionForm(forms.Form):
    """Which results are right; none where `verdict` says so."""

    verdict = forms.ChoiceField(choices=SecondaryReview.Verdict.choices)
    note = forms.CharField(label="说明", required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, result_ids: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(pk, str(pk)) for pk in result_ids]
        self.fields["picked"] = forms.TypedMultipleChoiceField(required=False, coerce=int, choices=choices)

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or {}
        if chosen.get("verdict") == SecondaryReview.Verdict.CONFIRMED and not chosen.get("picked"):
            raise forms.ValidationError("请先勾选正确的结果；都不对时选“均不正确”。")
        if chosen.get("verdict") == SecondaryReview.Verdict.NONE_RIGHT:
            chosen["picked"] = []
        return chosen


def first_error(form: forms.Form) -> str:
    """The first thing that is wrong, as one sentence."""
    return next((str(error) for errors in form.errors.values() for error in errors), "填写有误。")
