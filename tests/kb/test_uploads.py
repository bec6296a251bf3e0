"""A file becomes drafts or is kept with its reason; the same file twice is said."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from kb import tasks
from kb.errors import KnowledgeError, UploadTooLarge
from kb.models import DocumentVersion, Upload
from kb.parsing import ParsedFile, ParseLimits, ParseRefused, parse_file
from kb.services import uploads
from kb.services.imports import import_paths
from kb.services.uploads import parse_upload, register_upload, retry_upload, waiting_uploads

pytestmark = pytest.mark.django_db

POLICY = (
    "云岚市加装电梯办法\n云府办规〔2025〕8号\n\n第一条 为规范加装电梯，制定本办法。\n第二条 自2025年3月1日起施行。\n"
)


def register(text: str = POLICY, name: str = "办法.txt") -> Upload:
    return register_upload(name=name, data=io.BytesIO(text.encode()), by=None, parse_later=False)[0]


def test_upload_becomes_a_draft() -> None:
    upload = parse_upload(upload_id=register().pk)

    version = DocumentVersion.objects.get(upload=upload)
    assert (upload.state, upload.format) == ("parsed", "txt")
    assert version.state == "draft"
    assert version.document_number == "云府办规〔2025〕8号"
    assert version.effective_on is not None
    assert version.passages.exists()


def test_registering_rings_once_the_file_is_stored(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(tasks.parse_upload, "apply_async", lambda args: rung.append(*args))
    with django_capture_on_commit_callbacks(execute=True):
        upload, created = register_upload(name="a.txt", data=io.BytesIO(POLICY.encode()), by=None)

    assert created
    assert rung == [upload.pk]
    assert Path(upload.file.path).read_bytes() == POLICY.encode()


def test_same_file_twice_is_recognised() -> None:
    first = register()
    again, created = register_upload(name="另一个名字.txt", data=io.BytesIO(POLICY.encode()), by=None)

    assert (again.pk, created) == (first.pk, False)
    assert Upload.objects.count() == 1


MEGABYTE = 1024 * 1024


def refuse(text: str, name: str, error: type[KnowledgeError] = UploadTooLarge) -> Upload:
    """What the administrator sees of a file that its sender was refused."""
    with pytest.raises(error) as refusal:
        register(text, name)
    upload = Upload.objects.get()
    assert (upload.state, upload.error_code, upload.error) == ("refused", refusal.value.code, str(refusal.value))
    return upload


def test_empty_file_is_refused_and_leaves_its_trace() -> None:
    upload = refuse("", "空.txt", KnowledgeError)

    assert (upload.name, upload.size, upload.error_code) == ("空.txt", 0, "empty")
    assert Path(upload.file.path).read_bytes() == b""
    assert waiting_uploads() == []


@pytest.mark.parametrize(("size", "is_stored"), [(MEGABYTE + 1, True), (4 * MEGABYTE, True), (4 * MEGABYTE + 1, False)])
def test_oversized_file_is_refused_and_kept_unless_it_is_huge(settings: Settings, size: int, is_stored: bool) -> None:
    settings.UPLOAD_MAX_MEGABYTES = 1
    upload = refuse("a" * size, "大.txt")

    assert (upload.name, upload.size, upload.error_code) == ("大.txt", size, "too_large")
    assert bool(upload.file) is is_stored
    if is_stored:
        assert Path(upload.file.path).stat().st_size == size


def test_file_refused_twice_is_one_row() -> None:
    first = refuse("", "空.txt", KnowledgeError)
    with pytest.raises(KnowledgeError, match="也是空的"):
        register("", "也是空的.txt")

    again = Upload.objects.get()
    assert (again.pk, again.name) == (first.pk, "空.txt")


@pytest.mark.parametrize("former_limit", [0, 1])
def test_oversized_file_is_taken_once_the_limit_is_raised(settings: Settings, former_limit: int) -> None:
    text = POLICY * 10_000
    settings.UPLOAD_MAX_MEGABYTES = former_limit
    refused = refuse(text, "办法.txt")
    settings.UPLOAD_MAX_MEGABYTES = 50
    upload, is_new = register_upload(name="办法.txt", data=io.BytesIO(text.encode()), by=None, parse_later=False)

    assert (upload.pk, is_new, upload.state) == (refused.pk, True, "waiting")
    assert Path(upload.file.path).read_bytes() == text.encode()


def test_refused_file_without_content_is_not_retried(settings: Settings) -> None:
    settings.UPLOAD_MAX_MEGABYTES = 0
    with pytest.raises(KnowledgeError) as refusal:
        retry_upload(upload=refuse(POLICY, "办法.txt"), by=None)

    assert refusal.value.code == "not_stored"
    assert Upload.objects.get().state == "refused"


def test_refused_file_is_kept_with_its_reason_and_nothing_else() -> None:
    upload = parse_upload(upload_id=register("\x00\x01\x02\x03" * 50, "程序.exe").pk)

    assert upload.state == "refused"
    assert upload.error_code == "unsupported"
    assert upload.error
    assert Path(upload.file.path).exists()
    assert not DocumentVersion.objects.exists()


def test_parsing_twice_stores_once() -> None:
    upload = register()
    parse_upload(upload_id=upload.pk)
    parse_upload(upload_id=upload.pk)

    assert DocumentVersion.objects.count() == 1


def test_half_a_file_is_never_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = '{"id": "1", "title": "甲", "content": "甲文。"}\n{"id": "2", "title": "乙", "content": "乙文。"}\n'
    upload = register(rows, "二.jsonl")
    stored = uploads.store_draft

    def fail_on_second(**values: object) -> DocumentVersion:
        if DocumentVersion.objects.exists():
            raise RuntimeError("power cut")
        return stored(**values)  # type: ignore[arg-type]

    monkeypatch.setattr(uploads, "store_draft", fail_on_second)
    with pytest.raises(RuntimeError):
        parse_upload(upload_id=upload.pk)

    upload.refresh_from_db()
    assert upload.state == "waiting"
    assert not DocumentVersion.objects.exists()


def test_file_that_always_fails_is_given_up_and_can_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = register()
    monkeypatch.setattr(uploads, "parse_file", lambda *_, **__: 1 / 0)
    for _ in range(uploads.MAX_ATTEMPTS):
        with pytest.raises(ZeroDivisionError):
            parse_upload(upload_id=upload.pk)
    upload.refresh_from_db()
    assert (upload.state, upload.error_code) == ("refused", "parser_failed")

    monkeypatch.undo()
    retry_upload(upload=upload, by=None)
    assert parse_upload(upload_id=upload.pk).state == "parsed"


def test_only_a_refused_upload_is_retried() -> None:
    with pytest.raises(KnowledgeError):
        retry_upload(upload=register(), by=None)


def test_upload_of_a_killed_worker_is_picked_up_after_its_lease() -> None:
    upload = register()
    Upload.objects.update(state="parsing", attempts=1, lease_expires_at=timezone.now() + timedelta(minutes=1))
    assert waiting_uploads() == []
    assert parse_upload(upload_id=upload.pk).state == "parsing"

    Upload.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert waiting_uploads() == [upload.pk]
    assert parse_upload(upload_id=upload.pk).state == "parsed"


def test_late_worker_does_not_refuse_what_another_has_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    upload, parse_file = register(), uploads.parse_file

    def refuse_late(*_: object, **__: object) -> None:
        monkeypatch.setattr(uploads, "parse_file", parse_file)
        Upload.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        assert parse_upload(upload_id=upload.pk).state == "parsed"
        raise ParseRefused("timeout", "转换超时。")

    monkeypatch.setattr(uploads, "parse_file", refuse_late)

    assert parse_upload(upload_id=upload.pk).state == "parsed"
    assert DocumentVersion.objects.count() == 1


def test_upload_that_keeps_killing_its_worker_is_refused() -> None:
    upload = register()
    Upload.objects.update(
        state="parsing", attempts=uploads.MAX_ATTEMPTS, lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    parse_upload(upload_id=upload.pk)

    upload.refresh_from_db()
    assert (upload.state, upload.error_code) == ("refused", "parser_failed")


def test_import_publishes_and_names_each_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text(POLICY)
    (folder / "b.exe").write_bytes(b"\x00\x01" * 100)
    outcomes = list(import_paths(paths=[folder, tmp_path / "none.txt"], by=None))

    assert [(Path(o.path).name, o.documents, o.code) for o in outcomes] == [
        ("a.txt", 1, ""),
        ("b.exe", 0, "unsupported"),
        ("none.txt", 0, "missing"),
    ]
    assert DocumentVersion.objects.get().state == "published"
    again = list(import_paths(paths=[folder / "a.txt"], by=None))
    assert (again[0].documents, again[0].is_known) == (1, True)


def test_import_says_that_another_worker_is_parsing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(POLICY)
    register()
    Upload.objects.update(state="parsing", attempts=1, lease_expires_at=timezone.now() + timedelta(minutes=1))
    outcome = next(import_paths(paths=[tmp_path / "a.txt"], by=None))

    assert (outcome.code, outcome.documents, outcome.is_known) == ("being_parsed", 0, True)
    assert "正在解析" in outcome.reason


def test_rows_of_one_file_are_policies_of_their_own() -> None:
    rows = "标题,发文字号,正文\n办法,云府〔2025〕1号,第一条 甲。\n办法,云府〔2025〕1号,第一条 乙。\n"
    upload = parse_upload(upload_id=register(rows, "政策.csv").pk)

    assert upload.versions.values("document").distinct().count() == 2


def test_worker_that_outlived_its_lease_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = register("没有文号的通知。\n", "通知.txt")
    parse = uploads.parse_file

    def take_too_long(name: str, data: bytes, *, limits: ParseLimits) -> ParsedFile:
        monkeypatch.undo()
        Upload.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        parse_upload(upload_id=upload.pk)
        return parse(name, data, limits=limits)

    monkeypatch.setattr(uploads, "parse_file", take_too_long)

    assert parse_upload(upload_id=upload.pk).state == "parsed"
    assert DocumentVersion.objects.count() == 1


def test_parsers_take_what_the_setting_lets_in(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def note_limit(name: str, data: bytes, *, limits: ParseLimits) -> ParsedFile:
        taken.append(limits.max_bytes)
        return parse_file(name, data, limits=limits)

    settings.UPLOAD_MAX_MEGABYTES = 80
    monkeypatch.setattr(uploads, "parse_file", note_limit)

    assert parse_upload(upload_id=register().pk).state == "parsed"
    assert taken == [80 * 1024 * 1024]
