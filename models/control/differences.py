"""What differs between two JSON documents, field by field."""

import json

EMPTY = (None, [], {})


def differences(old, new):
    """Return what changed.

    What is empty is the same as what is not there.

    :return: [(path such as ``lines/0/account``, old text, new text)] in the order of
        the paths; None stands for a field that is not there
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    return [
        (path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _flat(value, path=""):
    """Yield (path, text) of everything in a document that has no parts."""
    parts = None
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    if not parts:
        if value not in EMPTY:
            yield path, json.dumps(value, ensure_ascii=False)
        return
    for name, part in parts:
        yield from _flat(part, f"{path}/{name}" if path else str(name))
