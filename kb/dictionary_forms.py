"""What the dictionary pages send. Which fields an entry has depends on its dictionary; services check meaning."""

from __future__ import annotations

from typing import Any

from django import forms

from kb.dictionary_kinds import KINDS, LONGEST, Kind

KIND_CHOICES = [(kind.key, kind.name) for kind in KINDS.values()]


class EntryFilterForm(forms.Form):
    STATES = [("", "使用中"), ("edited", "改动过的"), ("retired", "已停用")]
    q = forms.CharField(label="词或对应的说法", required=False, max_length=100)
    kind = forms.ChoiceField(label="词典", required=False, choices=[("", "全部词典"), *KIND_CHOICES])
    state = forms.ChoiceField(label="状态", required=False, choices=STATES)


class EntryForm(forms.Form):
    """The values of one kind's entry."""

    def __init__(self, kind: Kind, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        for name, label in kind.columns.items():
            self.fields[name] = _make_field(kind, name, label)

    def values(self) -> dict[str, Any]:
        """As typed, for the service, which says what is wrong with them."""
        return {"kind": self.kind.key, **{name: self.data.get(name, "") for name in self.kind.columns}}


class ImportForm(forms.Form):
    file = forms.FileField(label="文件", error_messages={"required": "请选择文件。", "empty": "文件是空的。"})
    kind = forms.ChoiceField(
        label="导入到",
        required=False,
        choices=[("", "按文件的“词典”一列"), *KIND_CHOICES],
    )
    keep_good = forms.BooleanField(label="有不能用的行时，仍导入其余的行", required=False)


def _make_field(kind: Kind, name: str, label: str) -> forms.Field:
    """The browser says what must be filled in; the service says it once more, in one sentence."""
    if name == "label" and kind.choices:
        return forms.ChoiceField(label=label, choices=list(kind.choices.items()))
    if name == "both":
        return forms.BooleanField(label=label, required=False, help_text="两种说法可以互换")
    if name == "weight":
        widget = forms.NumberInput(attrs={"step": "0.05", "min": "0.05", "max": "1"})
        return forms.CharField(label=label, required=False, widget=widget, initial=1)
    if name == "frequency":
        number = forms.NumberInput(attrs={"min": "1"})
        return forms.CharField(label=label, required=False, widget=number, help_text="不填则取刚好成词的词频")
    text = forms.TextInput(attrs={"required": True} if name == "text" or name in kind.needs else {})
    return forms.CharField(label=label, required=False, widget=text, max_length=LONGEST[name])
