"""From a file to drafts: register, parse, retry. A file is known by its SHA-256; refused ones are kept."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from pathlib import PurePath
from typing import Any, BinaryIO

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from kb import tasks
from kb.errors import KnowledgeError, UploadTooLarge
from kb.models import Upload
from kb.parsing import ParseLimits, ParseRefused, parse_file
from kb.services.versions import store_draft

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
MAX_ATTEMPTS = 3
KEPT_LIMITS = 4  # an oversized file is stored up to this many times the limit


def register_upload(
    *, name: str, data: BinaryIO, by: AbstractBaseUser | None, parse_later: bool = True
) -> tuple[Upload, bool]:
    """Keep a file and queue its parsing. Returns the upload and whether it is new.

    Raises UploadTooLarge, or KnowledgeError for an empty file; such a file is kept too, as refused.
    """
    sha256, size = _hash(data)
    known = Upload.objects.filter(sha256=sha256).first()
    refusal = _find_refusal(name, size)
    if known is None:
        known, is_new = _keep(data, name=name, sha256=sha256, size=size, by=by, refusal=refusal)
    elif refusal is None and known.state == Upload.State.REFUSED and not known.attempts:
        # Never given to a parser: it was over a limit that has been raised since.
        _take_again(known, data)
        is_new = True
    else:
        is_new = False
    if refusal:
        raise refusal
    if is_new and parse_later:
        tasks.enqueue(tasks.parse_upload, known.pk)
    return known, is_new


def parse_upload(*, upload_id: int) -> Upload:
    """Parse a waiting upload into drafts, in one transaction. Safe to run twice; a parsed one is left as it is."""
    upload = _claim(upload_id)
    if upload is None:
        return Upload.objects.get(pk=upload_id)
    try:
        with upload.file.open("rb") as file:
            parsed = parse_file(upload.name, file.read(), limits=ParseLimits(max_bytes=_max_bytes()))
        with transaction.atomic():
            if not _is_mine(upload):
                return Upload.objects.get(pk=upload_id)
            for document in parsed.documents:
                store_draft(upload=upload, document=document)
            _finish(upload, Upload.State.PARSED, format=parsed.format, warnings=list(parsed.warnings))
    except ParseRefused as refusal:
        _finish(upload, Upload.State.REFUSED, error_code=refusal.code, error=refusal.message)
    except Exception:
        _release(upload)
        raise
    return Upload.objects.get(pk=upload_id)


def retry_upload(*, upload: Upload, by: AbstractBaseUser | None) -> Upload:
    """Queue a refused upload once more. Raises KnowledgeError for one that is not refused or has no content."""
    if not upload.file:
        raise KnowledgeError("文件过大，内容未保存，请重新上传。", code="not_stored", status=409)
    with transaction.atomic():
        changed = Upload.objects.filter(pk=upload.pk, state=Upload.State.REFUSED).update(
            state=Upload.State.WAITING, attempts=0, error="", error_code="", lease_expires_at=None
        )
        if not changed:
            raise KnowledgeError("只有未采用的文件可以重试。", code="wrong_state", status=409)
        tasks.enqueue(tasks.parse_upload, upload.pk)
    logger.info("upload %s queued again by user %s", upload.pk, getattr(by, "pk", None))
    upload.refresh_from_db()
    return upload


def waiting_uploads() -> list[int]:
    """Ids of uploads that nobody is parsing: new ones, and those whose worker died."""
    now = timezone.now()
    waiting = Q(state=Upload.State.WAITING) | Q(state=Upload.State.PARSING, lease_expires_at__lt=now)
    return list(Upload.objects.filter(waiting).order_by("id").values_list("pk", flat=True)[:100])


def _claim(upload_id: int) -> Upload | None:
    now = timezone.now()
    free = Q(state=Upload.State.WAITING) | Q(state=Upload.State.PARSING, lease_expires_at__lt=now)
    claimed = Upload.objects.filter(free, pk=upload_id).update(
        state=Upload.State.PARSING, lease_expires_at=now + LEASE, attempts=F("attempts") + 1
    )
    if not claimed:
        return None
    upload = Upload.objects.get(pk=upload_id)
    if upload.attempts > MAX_ATTEMPTS:  # it killed its worker every time
        _give_up(upload)
        return None
    return upload


def _release(upload: Upload) -> None:
    """After an unexpected error: the last attempt ends it, an earlier one leaves it to the next."""
    logger.exception("upload %s could not be parsed (attempt %s)", upload.pk, upload.attempts)
    if upload.attempts >= MAX_ATTEMPTS:
        _give_up(upload)
    else:
        mine = Upload.objects.filter(pk=upload.pk, attempts=upload.attempts)
        mine.update(state=Upload.State.WAITING, lease_expires_at=None)


def _give_up(upload: Upload) -> None:
    _finish(upload, Upload.State.REFUSED, error_code="parser_failed", error="解析时出错，文件已保留；请联系管理员。")


def _is_mine(upload: Upload) -> bool:
    """Not where it took longer than its lease and another worker has it: what that one finds is what counts."""
    mine = Upload.objects.select_for_update().filter(pk=upload.pk, attempts=upload.attempts)
    return mine.filter(state=Upload.State.PARSING).exists()


@transaction.atomic
def _finish(upload: Upload, state: Upload.State, **fields: object) -> None:
    """Nothing where it is another's by now."""
    if not _is_mine(upload):
        return
    for name, value in fields.items():
        setattr(upload, name, value)
    upload.state = state
    upload.parsed_at = timezone.now()
    upload.lease_expires_at = None
    upload.save()


def _find_refusal(name: str, size: int) -> KnowledgeError | None:
    if size == 0:
        return KnowledgeError(f"“{name}”是空文件。", code="empty")
    if size > _max_bytes():
        return UploadTooLarge(f"“{name}”超过 {settings.UPLOAD_MAX_MEGABYTES} MB，未上传。")
    return None


def _keep(
    data: BinaryIO, *, name: str, sha256: str, size: int, by: AbstractBaseUser | None, refusal: KnowledgeError | None
) -> tuple[Upload, bool]:
    """The file's row, with its content unless that is far over the limit, and whether the row is new."""
    stored = _store(data, sha256=sha256, name=name) if size <= KEPT_LIMITS * _max_bytes() else ""
    fields: dict[str, Any] = {"name": PurePath(name).name[-255:], "file": stored, "size": size, "uploaded_by": by}
    if refusal:
        fields |= {"state": Upload.State.REFUSED, "error_code": refusal.code, "error": str(refusal)}
        fields["parsed_at"] = timezone.now()
    try:
        with transaction.atomic():
            return Upload.objects.create(sha256=sha256, **fields), True
    except IntegrityError:  # the same file came twice at once
        _discard(stored)
        return Upload.objects.get(sha256=sha256), False
    except BaseException:
        _discard(stored)
        raise


def _take_again(upload: Upload, data: BinaryIO) -> None:
    if not upload.file:
        upload.file = _store(data, sha256=upload.sha256, name=upload.name)
    upload.state, upload.attempts, upload.error_code, upload.error = Upload.State.WAITING, 0, "", ""
    upload.save()


def _store(data: BinaryIO, *, sha256: str, name: str) -> str:
    return default_storage.save(timezone.now().strftime(f"%Y/%m/{sha256[:16]}{_suffix(name)}"), File(data))


def _discard(stored: str) -> None:
    if stored:
        default_storage.delete(stored)


def _hash(data: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    data.seek(0)
    while block := data.read(1 << 20):
        digest.update(block)
        size += len(block)
    data.seek(0)
    return digest.hexdigest(), size


def _max_bytes() -> int:
    return settings.UPLOAD_MAX_MEGABYTES * 1024 * 1024


def _suffix(name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and len(suffix) <= 8 else ""
