"""Files and folders into published policies, from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser

from kb.errors import KnowledgeError
from kb.models import DocumentVersion, Passage, Upload
from kb.services.uploads import parse_upload, register_upload
from kb.services.versions import publish_versions

BEING_PARSED = ("being_parsed", "另一进程正在解析这个文件，请稍后再导入。")


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of one file. `code` and `reason` are empty where it was taken."""

    path: str
    documents: int = 0
    passages: int = 0
    code: str = ""
    reason: str = ""
    is_known: bool = False


def import_paths(
    *, paths: Iterable[Path], by: AbstractBaseUser | None, publish: bool = True
) -> Iterator[ImportOutcome]:
    """Each file's outcome as it comes; a refused file does not stop the rest."""
    for path in _list_files(paths):
        yield import_file(path=path, by=by, publish=publish)


def import_file(*, path: Path, by: AbstractBaseUser | None, publish: bool = True) -> ImportOutcome:
    if not path.is_file():
        return ImportOutcome(str(path), code="missing", reason="没有这个文件。")
    try:
        with path.open("rb") as file:
            upload, is_new = register_upload(name=path.name, data=file, by=by, parse_later=False)
        upload = parse_upload(upload_id=upload.pk)
    except KnowledgeError as error:
        return ImportOutcome(str(path), code=error.code, reason=str(error))
    except Exception as error:  # logged by parse_upload; the other files go on
        return ImportOutcome(str(path), code="parser_failed", reason=f"解析时出错：{error}")
    if upload.state != Upload.State.PARSED:
        code, reason = (upload.error_code, upload.error) if upload.error_code else BEING_PARSED
        return ImportOutcome(str(path), code=code, reason=reason, is_known=not is_new)
    versions = list(upload.versions.all())
    if publish:
        publish_versions(versions=[v for v in versions if v.state == DocumentVersion.State.DRAFT], by=by)
    passages = Passage.objects.filter(version__upload=upload).count()
    return ImportOutcome(str(path), len(versions), passages, is_known=not is_new)


def _list_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(item for item in path.rglob("*") if item.is_file() and not item.name.startswith("."))
        else:
            yield path
