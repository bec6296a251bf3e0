"""The dictionaries that are live, in every process: read from the database, followed within seconds, swapped whole.

Lookups never wait: what has changed is read in a thread beside them and put in the place of the old rules in one
assignment. As long as no dictionary is in the database, the files that come with the product are used.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from kb.dictionary_kinds import KINDS, SEGMENTED, EntryValues, build_rules, build_segmentation
from kb.models import DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.query_understanding import Rules, load_default_rules
from kb.segmentation import SegmentationDictionary, load_default_dictionary

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
RETRY_SECONDS = 30.0  # after a release that could not be read or loaded
TURN_SECONDS = 0.0005


def read_release() -> int:
    """The release that is live; 0 as long as the dictionaries are those of the files."""
    return DictionaryRelease.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def load_entries(kinds: Iterable[str] = KINDS) -> list[EntryValues]:
    """The live rows in the order in which they came."""
    rows = DictionaryEntry.objects.filter(is_live=True, kind__in=list(kinds)).order_by("pk")
    return [EntryValues(*row) for row in rows.values_list(*EntryValues._fields)]


def load_rules() -> Rules:
    """The live rules, ready to be used. Raises DatabaseError."""
    while release := read_release():
        rules = build_rules(load_entries(), release=release)
        if read_release() == release:  # else the rows may be of two releases
            return rules.prepare()
    return load_default_rules().prepare()


def load_rules_with_drafts() -> Rules:
    """The rules as they would be if the drafts went live."""
    return build_rules(_apply_drafts()).prepare()


def load_segmentation_dictionary() -> SegmentationDictionary:
    """What an index that is built now cuts texts with."""
    return build_segmentation(load_entries(SEGMENTED)) if read_release() else load_default_dictionary()


class LiveRules:
    """One process's rules. `spawn` runs the loading beside the lookups."""

    def __init__(
        self,
        *,
        spawn: Callable[[Callable[[], None]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spawn = spawn or _run_in_thread
        self._clock = clock
        self._turn = threading.Lock()
        self._rules: Rules | None = None
        self._check_at = 0.0
        self._is_loading = False

    def get(self) -> Rules:
        """At once, but for the first time; looks at most every CHECK_SECONDS whether there is a newer release."""
        rules = self._rules
        if rules is None:
            return self._load_first()
        if self._clock() >= self._check_at and self._turn.acquire(blocking=False):
            try:
                self._check(rules)
            finally:
                self._turn.release()
        return self._rules or rules

    def expire(self) -> None:
        """Look again at the next question."""
        self._check_at = 0.0

    def forget(self) -> None:
        """As in a new process."""
        self._rules = None

    def _load_first(self) -> Rules:
        with self._turn:
            if self._rules is None:
                self._check_at = self._clock() + CHECK_SECONDS
                try:
                    self._rules = load_rules()
                except DatabaseError as error:  # not migrated yet, or away: the files are better than no answer
                    logger.warning("dictionaries of the files are used: %s", error)
                    self._rules = load_default_rules().prepare()
            return self._rules

    def _check(self, rules: Rules) -> None:
        self._check_at = self._clock() + CHECK_SECONDS
        if self._is_loading:
            return
        try:
            is_current = read_release() == rules.release
        except DatabaseError as error:
            logger.warning("the dictionaries' release is unknown: %s", error)
            self._check_at = self._clock() + RETRY_SECONDS
            return
        if not is_current:
            self._is_loading = True
            self._spawn(self._reload)

    def _reload(self) -> None:
        began = time.perf_counter()
        try:
            with _short_turns():
                rules = load_rules()
        except Exception:  # whatever is wrong with the new rows, the old ones go on serving
            logger.exception("the dictionaries could not be loaded, the old ones stay")
            self._check_at = self._clock() + RETRY_SECONDS
        else:
            self._rules = rules
            logger.info("dictionary release %s after %.2f s", rules.release, time.perf_counter() - began)
        finally:
            self._is_loading = False


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads take turns every half millisecond.

    With Python's usual 5 ms a busy process makes SQLite wait so long for each of many thousand rows, and lookups wait
    as long for the thread that loads.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _run_in_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()  # the thread's own

    threading.Thread(target=run, name="dictionaries", daemon=True).start()


live_rules = LiveRules()
get_live_rules = live_rules.get
expire_live_rules = live_rules.expire
forget_live_rules = live_rules.forget


def _apply_drafts() -> list[EntryValues]:
    rows = DictionaryEntry.objects.filter(is_live=True).order_by("pk")
    live = {pk: EntryValues(*values) for pk, *values in rows.values_list("pk", *EntryValues._fields)}
    added: list[EntryValues] = []
    for action, entry, *values in DictionaryDraft.objects.values_list("action", "entry", *EntryValues._fields):
        if action == DictionaryDraft.Action.RETIRE:
            live.pop(entry, None)
        elif entry:
            live[entry] = EntryValues(*values)
        else:
            added.append(EntryValues(*values))
    return [*live.values(), *added]
