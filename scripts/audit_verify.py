#!/usr/bin/env python3
"""Verifies an exported audit trail, without Odoo and without its database.

    python scripts/audit_verify.py trail.jsonl --seal kept.json --public-key HEX

It needs Python and the package ``cryptography``. Give the public key that you wrote
down when the trail began: without one, the key that the file names is believed. Ends
with 0 when the trail is as it was written, 1 when it is not, 2 when it can't be read.
"""

import argparse
import sys
import types
from pathlib import Path

ADDON = Path(__file__).resolve().parents[1]

# The addon's own __init__ imports Odoo; the signing room needs none of it.
_package = types.ModuleType("finance_hub")
_package.__path__ = [str(ADDON)]
sys.modules.setdefault("finance_hub", _package)


def main(arguments=None) -> int:
    from finance_hub.signing import AuditChainError, import_seal, verify_trail

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trail", type=Path, help="written by “odoo finance_audit”")
    parser.add_argument("--seal", type=Path, action="append", default=[])
    parser.add_argument("--public-key", action="append", default=[])
    options = parser.parse_args(arguments)
    try:
        witnesses = [import_seal(path.read_bytes()) for path in options.seal]
        with options.trail.open("rb") as lines:
            verifier = verify_trail(lines, options.public_key, witnesses)
    except (OSError, AuditChainError) as error:
        print(error, file=sys.stderr)
        return 2
    for finding in verifier.findings:
        print(f"{finding.code}: {finding.message}")
    print(
        f"{verifier.entries} entries, {verifier.seals} seals, {verifier.found} findings"
    )
    return 1 if verifier.found else 0


if __name__ == "__main__":
    sys.exit(main())
