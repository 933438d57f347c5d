#!/usr/bin/env python3
"""Freezes the published JSON Schemas in ``contracts/published/``.

A new type gets its file. A schema that changed gets it again, unless the change would
break those who read its events: then nothing is written, and the program says what to
do. ``make schemas`` runs it; the tests of the contracts compare with the files.
"""

import json
import sys
import types
from pathlib import Path

ADDON = Path(__file__).resolve().parents[1]

# The addon's own __init__ imports Odoo; the contracts need none of it.
_package = types.ModuleType("finance_hub")
_package.__path__ = [str(ADDON)]
sys.modules.setdefault("finance_hub", _package)


def frozen_text(schema: dict) -> str:
    """Return what stands in the file of a schema."""
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def freeze(folder: Path) -> tuple[list[str], list[str]]:
    """Write the schemas that are new or changed.

    :param folder: where the files are
    :return: (what was done, what was refused), a line each; with a refusal nothing
        is written
    """
    from finance_hub.contracts import EVENT_TYPES, incompatibilities, json_schema

    wanted, refused = {}, []
    for name in EVENT_TYPES:
        path = folder / f"{name}.json"
        schema = json_schema(name)
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            refused += [f"{name}, {fault}" for fault in incompatibilities(old, schema)]
        wanted[path] = frozen_text(schema)
    refused += [
        f"{path.stem}: it was published and would be gone."
        for path in sorted(folder.glob("*.json"))
        if path not in wanted
    ]
    if refused:
        return [], refused
    done = []
    folder.mkdir(exist_ok=True)
    for path, text in wanted.items():
        if not path.exists():
            done.append(f"new: {path.stem}")
        elif path.read_text(encoding="utf-8") != text:
            done.append(f"changed: {path.stem}")
        else:
            continue
        path.write_text(text, encoding="utf-8")
    return done, []


def main() -> int:
    done, refused = freeze(ADDON / "contracts" / "published")
    for line in refused:
        print(line, file=sys.stderr)
    if refused:
        print(
            "\nNothing was written: these changes would break those who read the "
            "events. Publish a new version of the type, and project it to this one.",
            file=sys.stderr,
        )
        return 1
    for line in done:
        print(line)
    print(f"{len(done)} written." if done else "All schemas are as published.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
