"""Time of importing, releasing and restoring many dictionary entries.

    python -m tests.benchmarks.dictionaries --rows 50000

Uses DATABASE_URL where it is set (its dictionaries are replaced), else an SQLite file of its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DATA_DIR=folder, SECRET_KEY="benchmark", DJANGO_SETTINGS_MODULE="hotline.settings")
        django.setup()
        measure(arguments.rows)


def measure(count: int) -> None:
    from kb import models
    from kb.services.dictionaries import release_drafts, restore_release, sync_builtin_entries
    from kb.services.dictionary_drafts import digest_drafts, import_drafts

    def bring(label: str) -> Any:
        rows = [(line, {"kind": "common_word", "text": f"词{line}条", "label": label}) for line in range(count)]
        return import_drafts(rows=rows, by=None)

    def release() -> Any:
        return release_drafts(by=None, drafts_sha256=digest_drafts())

    call_command("migrate", verbosity=0)
    for name in ("DictionaryTrial", "DictionaryDraft", "DictionaryChange", "DictionaryEntry", "DictionaryRelease"):
        getattr(models, name).objects.all().delete()
    first = sync_builtin_entries().release
    assert first is not None
    tell("import, new words", lambda: bring("甲"))
    second = tell("release, new words", release)
    tell("import, changed words", lambda: bring("乙"))
    third = tell("release, changed words", release)
    tell("restore, changed words", lambda: restore_release(release=second, by=None))
    tell("restore, words that came since", lambda: restore_release(release=first, by=None))
    tell("restore, all of them back", lambda: restore_release(release=third, by=None))


def tell(name: str, work: Callable[[], Any]) -> Any:
    began, processor = time.perf_counter(), time.process_time()
    result = work()
    print(
        f"{name:32} {time.perf_counter() - began:5.1f} s, processor {time.process_time() - processor:4.1f} s",
        flush=True,
    )
    return result


if __name__ == "__main__":
    main()
