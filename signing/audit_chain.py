# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The audit trail's arithmetic: digests, seals, and what tells that one was bent.

An *entry* is a mapping of JSON values. Its digest is the SHA-256 of its canonical
form. A *leaf* gives an entry its position in the chain and keeps its digest. A *seal*
covers the leaves of consecutive positions, names the seal before it by its hash, and
is signed by Ed25519 (RFC 8032): who has no key can neither change nor replace one.

What a seal alone can't tell is that later ones are missing. For that, a seal that was
exported and kept elsewhere is compared with the chain: a *witness*.

The canonical form is JSON (RFC 8259) in UTF-8 with sorted keys and no blanks, without
floating-point numbers, so that it is the same whoever writes it.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import constants as const

#: What a seal is signed over, in this very set; the rest is derived from it.
SEAL_FIELDS = (
    "format",
    "source",
    "number",
    "first",
    "last",
    "count",
    "entries",
    "previous",
    "sealed_at",
)
#: The whole of a seal as it is exported.
EXPORTED_FIELDS = (*SEAL_FIELDS, "hash", "key_id", "public_key", "signature")

TAMPERED = "tampered"
REMOVED = "removed"
INSERTED = "inserted"
CUT_TAIL = "cut_tail"
BROKEN_SEAL = "broken_seal"
WRONG_SIGNATURE = "wrong_signature"


class AuditChainError(ValueError):
    """Something is no part of an audit trail; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry's place in the chain.

    :ivar position: counted from 1 without gaps
    :ivar entry: what names the entry where it is stored
    :ivar digest: of the entry's canonical form when it was written, hexadecimal
    :ivar mark: :func:`entry_mark` of the digest, ``None`` where it is not known
    """

    position: int
    entry: int
    digest: str
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written.

    :ivar code: one of the constants of this module, such as ``tampered``
    :ivar message: for a person: which one, and what differs
    :ivar seal: number of the seal concerned, if one is
    :ivar position: in the chain, if it is known
    :ivar entry: what names the entry, if it is known
    """

    code: str
    message: str
    seal: int | None = None
    position: int | None = None
    entry: int | None = None


# === ENTRIES === #


def canonical(value: Mapping) -> bytes:
    """Return the one way to write ``value`` down.

    :raises AuditChainError: for what JSON has no exact form of
    """
    _refuse_floats(value)
    try:
        text = json.dumps(
            value,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise AuditChainError(
            f"This can't be written down exactly: {error}. Use texts, whole numbers, "
            "lists and mappings."
        ) from error


def _refuse_floats(value):
    if isinstance(value, float):
        raise AuditChainError(
            "A floating-point number has no exact form. Write it as text."
        )
    if isinstance(value, Mapping):
        for name, part in value.items():
            if not isinstance(name, str):
                raise AuditChainError("The names of a mapping are texts.")
            _refuse_floats(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_floats(part)


def entry_digest(entry: Mapping) -> str:
    """Return the SHA-256 of an entry's canonical form, hexadecimal."""
    return hashlib.sha256(canonical(entry)).hexdigest()


def mark_key(seed: bytes) -> bytes:
    """Return the key of the marks that belongs to a signing key.

    :param seed: the Ed25519 private key, 32 bytes
    """
    return hmac.digest(seed, const.AUDIT_MARK_CONTEXT, "sha256")


def entry_mark(key: bytes, digest: str) -> str:
    """Return what only the hub can put on an entry: HMAC-SHA256, hexadecimal.

    A row that somebody wrote into the database without the hub lacks it.
    """
    return hmac.new(key, digest.encode("ascii"), "sha256").hexdigest()


def is_mark(key: bytes, digest: str, mark: str | None) -> bool:
    """Return whether ``mark`` is that of the digest."""
    return hmac.compare_digest(entry_mark(key, digest), mark or "")


# === KEYS === #


def generate_seal_key() -> bytes:
    """Return a new Ed25519 private key, 32 bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def seal_public_key(seed: bytes) -> str:
    """Return the public key that belongs to a private one, hexadecimal."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def seal_key_id(public_key: str) -> str:
    """Return the short name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[: const.KEY_ID_DIGITS]


# === SEALS === #


def leaves_digest(digests: Iterable[str]) -> str:
    """Return the SHA-256 over digests in their order, hexadecimal."""
    total = hashlib.sha256()
    for digest in digests:
        total.update(bytes.fromhex(digest))
    return total.hexdigest()


def seal_hash(seal: Mapping) -> str:
    """Return the SHA-256 of what a seal says, hexadecimal."""
    return hashlib.sha256(_signed_part(seal)).hexdigest()


def _signed_part(seal: Mapping) -> bytes:
    return canonical({name: seal.get(name) for name in SEAL_FIELDS})


def make_seal(
    previous: Mapping | None,
    digests: Sequence[str],
    sealed_at: str,
    source: str,
    seed: bytes,
) -> dict:
    """Return the seal that follows ``previous`` and covers ``digests``.

    :param previous: the seal before, ``None`` for the first
    :param digests: of at least one entry, in the order of their positions
    :param sealed_at: ISO 8601, UTC
    :param source: which trail it is: the database's id
    :param seed: the Ed25519 private key, 32 bytes
    :raises AuditChainError: when there is nothing to seal
    """
    if not digests:
        raise AuditChainError("There is nothing to seal.")
    first = previous["last"] + 1 if previous else 1
    public_key = seal_public_key(seed)
    seal = {
        "format": const.AUDIT_FORMAT,
        "source": source,
        "number": previous["number"] + 1 if previous else 1,
        "first": first,
        "last": first + len(digests) - 1,
        "count": len(digests),
        "entries": leaves_digest(digests),
        "previous": previous["hash"] if previous else const.AUDIT_GENESIS,
        "sealed_at": sealed_at,
    }
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return {
        **seal,
        "hash": seal_hash(seal),
        "key_id": seal_key_id(public_key),
        "public_key": public_key,
        "signature": private.sign(_signed_part(seal)).hex(),
    }


def signature_holds(seal: Mapping, public_key: str) -> bool:
    """Return whether a seal was signed by the owner of a public key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(str(seal.get("signature"))), _signed_part(seal))
    except (InvalidSignature, ValueError):
        return False
    return True


def export_seal(seal: Mapping) -> bytes:
    """Return the file in which a seal is kept elsewhere."""
    return (
        json.dumps(
            {name: seal[name] for name in EXPORTED_FIELDS}, indent=2, sort_keys=True
        ).encode("utf-8")
        + b"\n"
    )


def import_seal(content: bytes) -> dict:
    """Return the seal of a file that was kept elsewhere.

    Only its form is looked at; whether it is true is for :class:`Verifier`.

    :raises AuditChainError: when it is no such file
    """
    if len(content) > const.AUDIT_SEAL_MAX_BYTES:
        raise AuditChainError("This file is too large to be an exported seal.")
    try:
        seal = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AuditChainError("This is no exported seal: it is not JSON.") from error
    if not isinstance(seal, dict) or seal.get("format") != const.AUDIT_FORMAT:
        raise AuditChainError(
            "This is no seal of an audit trail. Choose the file that “Export Signed "
            "Seal” gave."
        )
    numbers = ("number", "first", "last", "count")
    for name in EXPORTED_FIELDS:
        # A truth value is a number to Python.
        kind = int if name in numbers else str
        if type(seal.get(name)) is not kind:
            raise AuditChainError(f"This seal is not complete: “{name}” is missing.")
    return {name: seal[name] for name in EXPORTED_FIELDS}


# === VERIFICATION === #


class Verifier:
    """Goes through a chain, seal by seal, and names what is not as it was.

    :param public_keys: hexadecimal, those that this trail's seals may be signed by
    :param source: which trail it is; ``None`` to take it from the first seal
    :param witnesses: seals that were kept elsewhere
    """

    def __init__(
        self,
        public_keys: Iterable[str],
        source: str | None = None,
        witnesses: Iterable[Mapping] = (),
    ):
        self.findings: list[Finding] = []
        self.found = 0
        self.seals = 0
        self.entries = 0
        self._keys = {seal_key_id(key): key for key in public_keys}
        self._source = source
        self._previous: Mapping | None = None
        self._witnesses: dict[int, list[Mapping]] = {}
        for witness in witnesses:
            self._take_witness(witness)

    def _take_witness(self, witness):
        number = witness["number"]
        if seal_hash(witness) != witness["hash"] or not self._signed(witness):
            self.report(
                WRONG_SIGNATURE,
                f"The kept seal {number} is not one that this hub signed. Compare it "
                "with another copy.",
                seal=number,
            )
        else:
            self._witnesses.setdefault(number, []).append(witness)

    def _signed(self, seal):
        key = self._keys.get(seal.get("key_id"))
        return bool(key) and signature_holds(seal, key)

    def report(self, code, message, *, seal=None, position=None, entry=None):
        """Add a finding; beyond the first thousand they are counted only."""
        self.found += 1
        if len(self.findings) < const.AUDIT_MAX_FINDINGS:
            self.findings.append(Finding(code, message, seal, position, entry))

    def add(
        self,
        seal: Mapping,
        leaves: Sequence[Leaf],
        entries: Mapping[int, Mapping],
        *,
        purged: bool = False,
        key_of=None,
    ) -> None:
        """Check the next seal of the chain, and what it covers.

        :param leaves: of its positions, those that are there
        :param entries: {name: entry} of the entries that are there
        :param purged: its entries were removed by the rules; the seal is what is left
        :param key_of: gives the key of a leaf's mark, ``None`` if it is not known
        """
        self.seals += 1
        self._check_seal(seal)
        self._previous = seal
        for witness in self._witnesses.pop(seal["number"], ()):
            if witness["hash"] != seal["hash"]:
                self.report(
                    BROKEN_SEAL,
                    f"Seal {seal['number']} is not the one that was kept elsewhere: "
                    "the trail was written anew.",
                    seal=seal["number"],
                )
        if purged and not leaves and not entries:
            return
        self._check_leaves(seal, leaves)
        for leaf in leaves:
            self.check_leaf(leaf, entries.get(leaf.entry), seal["number"], key_of)

    def _check_seal(self, seal):
        number, previous = seal["number"], self._previous
        if self._source is None:
            self._source = seal["source"]
        expected = {
            "format": const.AUDIT_FORMAT,
            "source": self._source,
            "number": previous["number"] + 1 if previous else 1,
            "first": previous["last"] + 1 if previous else 1,
            "previous": previous["hash"] if previous else const.AUDIT_GENESIS,
            "count": seal["last"] - seal["first"] + 1,
            "hash": seal_hash(seal),
        }
        wrong = [name for name, value in expected.items() if seal[name] != value]
        if wrong:
            self.report(
                BROKEN_SEAL,
                f"Seal {number} does not follow from what comes before it: "
                + "; ".join(
                    f"{name} is {seal[name]}, it has to be {expected[name]}"
                    for name in wrong
                ),
                seal=number,
            )
        if not self._signed(seal):
            self.report(
                WRONG_SIGNATURE,
                f"Seal {number} is not signed by a key of this hub (key "
                f"{seal['key_id']}).",
                seal=number,
            )

    def _check_leaves(self, seal, leaves):
        number = seal["number"]
        places = {leaf.position for leaf in leaves}
        missing = [
            place
            for place in range(seal["first"], seal["last"] + 1)
            if place not in places
        ]
        for place in missing:
            self.report(
                REMOVED,
                f"Position {place} (seal {number}) is gone, and what was recorded "
                "there.",
                seal=number,
                position=place,
            )
        extra = [
            leaf
            for leaf in leaves
            if not seal["first"] <= leaf.position <= seal["last"]
        ]
        for leaf in extra:
            self.report(
                INSERTED,
                f"Entry {leaf.entry} says that seal {number} covers it; it does not.",
                seal=number,
                position=leaf.position,
                entry=leaf.entry,
            )
        if missing or extra:
            return
        ordered = sorted(leaves, key=lambda leaf: leaf.position)
        if leaves_digest(leaf.digest for leaf in ordered) != seal["entries"]:
            self.report(
                BROKEN_SEAL,
                f"The digests of positions {seal['first']} to {seal['last']} are not "
                f"those that seal {number} covers.",
                seal=number,
            )

    def check_leaf(self, leaf, entry, seal=None, key_of=None):
        """Check one entry against its digest and mark.

        :param seal: number of the seal that covers it, ``None`` before there is one
        :return: whether it is as it was written
        """
        where = {"seal": seal, "position": leaf.position, "entry": leaf.entry}
        self.entries += 1
        if entry is None:
            self.report(REMOVED, f"Entry {leaf.entry} was removed.", **where)
            return False
        key = key_of(leaf) if key_of else None
        if key and not is_mark(key, leaf.digest, leaf.mark):
            self.report(
                INSERTED,
                f"Entry {leaf.entry} was not written by the hub: its digest lacks the "
                f"hub's mark. It says: {_summary(entry)}",
                **where,
            )
            return False
        digest = _digest_or_none(entry)
        if digest != leaf.digest:
            self.report(
                TAMPERED,
                f"Entry {leaf.entry} was changed: its digest was {leaf.digest}, what "
                f"stands there now gives {digest}. It says now: {_summary(entry)}",
                **where,
            )
            return False
        return True

    def finish(self) -> list[Finding]:
        """Return all findings, the missing tail included."""
        last = self._previous["number"] if self._previous else 0
        for number in sorted(self._witnesses):
            self.report(
                CUT_TAIL,
                f"The trail ends at seal {last}, but seal {number} was kept elsewhere "
                f"({self._witnesses[number][0]['sealed_at']}): its end was cut off, or "
                "an older backup was restored.",
                seal=number,
            )
        self._witnesses.clear()
        return self.findings


def _digest_or_none(entry):
    try:
        return entry_digest(entry)
    except AuditChainError:
        return None


def _summary(entry):
    """Return who did what, for a person who looks for the row."""
    return ", ".join(
        f"{name} {entry[name]}"
        for name in ("at", "actor", "action", "label")
        if entry.get(name)
    )


# === EXPORTED TRAILS === #


def trail_line(kind: str, content: Mapping) -> bytes:
    """Return one line of an exported trail (JSON Lines).

    :param kind: ``key`` (public_key), ``entry`` (position, id, digest, entry) or
        ``seal`` (as exported, ``purged``), each seal behind what it covers
    """
    return canonical({"kind": kind, **content}) + b"\n"


def verify_trail(
    lines: Iterable[bytes],
    public_keys: Iterable[str] = (),
    witnesses: Iterable[Mapping] = (),
) -> Verifier:
    """Verify an exported trail.

    :param public_keys: which the seals may be signed by; without any those that the
        file itself names, which proves less: whoever wrote the file could name his
    :raises AuditChainError: when the file is no exported trail
    """
    keys, named = list(public_keys), []
    verifier, leaves, entries = None, [], {}
    for number, line in enumerate(lines, 1):
        row = _trail_row(number, line)
        if row["kind"] == "key":
            named.append(row.get("public_key"))
            continue
        if verifier is None:
            try:
                verifier = Verifier(keys or named, witnesses=witnesses)
            except (TypeError, ValueError) as error:
                raise AuditChainError(f"A public key is none: {error}") from error
        try:
            if row["kind"] == "entry":
                leaf = Leaf(row["position"], row["id"], row["digest"])
                leaves.append(leaf)
                if row["entry"] is not None:
                    entries[leaf.entry] = row["entry"]
            else:
                seal = {name: row[name] for name in EXPORTED_FIELDS}
                verifier.add(seal, leaves, entries, purged=row["purged"] is True)
                leaves, entries = [], {}
        except (KeyError, TypeError, ValueError) as error:
            raise AuditChainError(
                f"Line {number} is not one of an exported trail: {error!r}"
            ) from error
    verifier = verifier or Verifier(keys or named, witnesses=witnesses)
    # What no seal covers yet.
    for leaf in leaves:
        verifier.check_leaf(leaf, entries.get(leaf.entry))
    verifier.finish()
    return verifier


def _trail_row(number, line):
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AuditChainError(f"Line {number} is not JSON.") from error
    if not isinstance(row, dict) or row.get("kind") not in ("key", "entry", "seal"):
        raise AuditChainError(f"Line {number} is not one of an exported trail.")
    return row
