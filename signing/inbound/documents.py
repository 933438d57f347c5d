# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Keys and certificates that are fetched to verify with, kept in memory for a while.

What is fetched depends on who calls, and anybody may call. So everything is bounded:
how many documents are kept, how often something is fetched, and how many fetches run at
a time. What was good once serves on while it can't be fetched again, for a day.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import constants as const
from ..standard_webhooks import VerificationError


@dataclass(slots=True)
class _Entry:
    value: Any = None
    fetched_at: float | None = None
    tried_at: float = 0.0
    error: VerificationError | None = None


class Documents:
    """Documents by their address, parsed.

    :param fetch: ``(url) -> bytes``; raises :class:`ValueError`, whose text tells a
        person what is wrong. It guards the address, bounds time and size, and follows
        no redirects.
    """

    def __init__(self, fetch: Callable[[str], bytes]):
        self._fetch = fetch
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], _Entry] = {}
        # Of each kind by itself: what callers can name must not use up the share of
        # what administrators have entered.
        self._fetched: dict[str, deque[float]] = {}
        self._slots = threading.BoundedSemaphore(const.FETCHES_AT_A_TIME)

    def count(self) -> int:
        """Return how many addresses are remembered, good ones and bad."""
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._fetched.clear()

    def get(
        self,
        kind: str,
        url: str,
        parse: Callable[[bytes], Any],
        now: float,
        renew: bool = False,
    ) -> Any:
        """Return what ``parse`` made of a document.

        :param kind: tells apart what different presets make of one address.
        :param parse: raises :class:`VerificationError` for what is not good; that is
            not kept.
        :param now: Unix seconds.
        :param renew: ask for a newer one, as something was not in the one that is
            kept; at most once a minute.
        :raises VerificationError: ``unavailable``, or what ``parse`` raises.
        """
        key = (kind, url)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and not self._is_due(entry, now, renew):
                return self._kept(entry, now)
            if entry is None:
                entry = self._entries[key] = _Entry()
                self._make_room(key)
            before, entry.tried_at = entry.tried_at, now
            if not self._may_fetch(kind, now):
                entry.tried_at = before
                return self._kept(entry, now)
        try:
            value = parse(self._fetched_bytes(url))
        except VerificationError as error:
            with self._lock:
                entry.error = error
            return self._kept(entry, now)
        with self._lock:
            entry.value, entry.fetched_at, entry.error = value, now, None
        return value

    @staticmethod
    def _is_due(entry: _Entry, now: float, renew: bool) -> bool:
        since_try = now - entry.tried_at
        if entry.fetched_at is None or entry.error is not None:
            return since_try >= const.DOCUMENT_RETRY_SECONDS
        if renew:
            return since_try >= const.DOCUMENT_REFRESH_SECONDS
        return now - entry.fetched_at >= const.DOCUMENT_FRESH_SECONDS

    @staticmethod
    def _kept(entry: _Entry, now: float) -> Any:
        if (
            entry.fetched_at is not None
            and now - entry.fetched_at
            < const.DOCUMENT_FRESH_SECONDS + const.DOCUMENT_STALE_SECONDS
        ):
            return entry.value
        if entry.error is not None:
            raise VerificationError(entry.error.code, entry.error.message)
        raise VerificationError(
            "unavailable",
            "What this call is verified with can't be fetched at the moment, because "
            "too much is being fetched. Send the call again later.",
        )

    def _may_fetch(self, kind: str, now: float) -> bool:
        fetched = self._fetched.setdefault(kind, deque(maxlen=const.FETCHES_PER_MINUTE))
        if len(fetched) == const.FETCHES_PER_MINUTE and 0 <= now - fetched[0] < 60:
            return False
        fetched.append(now)
        return True

    def _make_room(self, newest: tuple[str, str]) -> None:
        """Drop what never was good first, then what was fetched longest ago."""
        if len(self._entries) <= const.DOCUMENTS_MAX_COUNT:
            return
        oldest = min(
            (key for key in self._entries if key != newest),
            key=lambda key: self._entries[key].fetched_at or 0.0,
        )
        del self._entries[oldest]

    def _fetched_bytes(self, url: str) -> bytes:
        if not self._slots.acquire(blocking=False):
            raise VerificationError(
                "unavailable",
                "What this call is verified with is being fetched. Send the call again "
                "in a moment.",
            )
        try:
            return self._fetch(url)
        except VerificationError:
            raise
        except ValueError as error:
            raise VerificationError(
                "unavailable",
                f"What this call is verified with could not be fetched: {error}",
            ) from error
        finally:
            self._slots.release()


def check_documents(documents: Any) -> Any:
    """Refuse to verify without a way to fetch what is verified with.

    :raises VerificationError: ``unavailable``.
    """
    if documents is None:
        raise VerificationError(
            "unavailable",
            "Nothing can be fetched here, and so nothing be verified. Tell the "
            "administrator of the hub.",
        )
    return documents
