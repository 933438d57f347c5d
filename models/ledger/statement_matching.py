"""Which entries of a statement are in the books already.

Pure: no ORM. What repeats is counted, not looked up: of two equal entries on a
statement, one may be there already and the other not.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

#: Lines of one amount and day that are compared with an entry, so that thousands of
#: equal ones don't take thousands of times as long.
MAX_COMPARED = 200
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is compared of an entry or a line.

    :ivar amount: as a text with the digits of the currency
    :ivar key: digest of all that the bank says
    :ivar kind: of the statement that brought it; ``manual`` for what a person entered
    :ivar source: what names the statement that brought it
    :ivar anonymous: whether nothing but its content tells it from another one
    """

    day: date
    amount: str
    entry_ref: str | None
    end_to_end_id: str | None
    key: str
    kind: str
    source: str | int | None
    anonymous: bool = False
    line_id: int | None = None


def content_key(
    day: date,
    amount: str,
    end_to_end_id: str | None,
    transaction_ref: str | None,
    account: str | None,
    text: str | None,
) -> str:
    """Return the digest of what a bank says of an entry."""
    words = "".join((text or "").split()).casefold()
    parts = (
        day.isoformat(),
        amount,
        end_to_end_id or "",
        transaction_ref or "",
        "".join(filter(str.isalnum, account or "")).upper(),
        words,
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def amount_text(amount: Decimal | float, digits: int) -> str:
    """Return an amount as it is compared, of the books or of a file alike."""
    text = f"{amount:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def match(entries: list[Entry], lines: list[Entry]) -> list[int | None]:
    """Return for each entry the id of the line that it repeats, or None.

    Each line is used once. From the surest to the least sure: the bank's reference with
    day and amount (references are used again, so never alone); all that the bank says;
    the end-to-end id with day and amount; and, for what came by another kind of
    message and so in other words, day and amount alone, unless something contradicts.
    """
    found: list[int | None] = [None] * len(entries)
    free = {line.line_id: line for line in lines}
    for key_of, fits in (
        (_by_reference, _always),
        (_by_content, _same_content),
        (_by_end_to_end, _same_end_to_end),
        (_by_amount, _same_amount),
    ):
        if not free:
            break
        waiting: dict[tuple, list[Entry]] = defaultdict(list)
        for line in reversed(free.values()):
            key = key_of(line)
            if key:
                waiting[key].append(line)
        for place, entry in enumerate(entries):
            if found[place] is not None:
                continue
            key = key_of(entry)
            candidates = waiting.get(key) if key else None
            if not candidates:
                continue
            # From the end, where the oldest line is.
            for back in range(1, min(len(candidates), MAX_COMPARED) + 1):
                if fits(entry, candidates[-back]):
                    line = candidates.pop(-back)
                    found[place] = line.line_id
                    del free[line.line_id]
                    break
    return found


def _by_reference(entry: Entry):
    return entry.entry_ref and (entry.entry_ref, entry.day, entry.amount)


def _by_content(entry: Entry):
    return entry.key and (entry.key,)


def _by_end_to_end(entry: Entry):
    return entry.end_to_end_id and (entry.end_to_end_id, entry.day, entry.amount)


def _by_amount(entry: Entry):
    return (entry.day, entry.amount)


def _always(entry: Entry, line: Entry) -> bool:
    return True


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def _same_content(entry: Entry, line: Entry) -> bool:
    if _differ(entry.entry_ref, line.entry_ref):
        return False
    # Two notifications tell of two entries, unless they name them alike.
    both = entry.kind == line.kind == "notification"
    return not (both and entry.source != line.source and entry.anonymous)


def _same_end_to_end(entry: Entry, line: Entry) -> bool:
    return entry.kind != line.kind or not _differ(entry.entry_ref, line.entry_ref)


def _same_amount(entry: Entry, line: Entry) -> bool:
    if entry.kind == line.kind:
        return False
    if entry.end_to_end_id and line.end_to_end_id:
        return entry.end_to_end_id == line.end_to_end_id
    return not _differ(entry.entry_ref, line.entry_ref)
