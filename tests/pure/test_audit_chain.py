# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""cap 93: whatever is bent in an audit trail is found and named."""

import copy
import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
from finance_hub.signing import (
    BROKEN_SEAL,
    CUT_TAIL,
    INSERTED,
    REMOVED,
    TAMPERED,
    WRONG_SIGNATURE,
    AuditChainError,
    Leaf,
    Verifier,
    canonical,
    entry_digest,
    entry_mark,
    export_seal,
    generate_seal_key,
    import_seal,
    is_mark,
    make_seal,
    mark_key,
    seal_key_id,
    seal_public_key,
    trail_line,
    verify_trail,
)
from hypothesis import given
from hypothesis import strategies as st

SEED = bytes(range(32))
PUBLIC = seal_public_key(SEED)
SOURCE = "0a0b0c"
SIZES = (3, 1, 4)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)
entries_strategy = st.dictionaries(st.text(), json_values, max_size=6)


class Trail:
    """A chain in memory, as the database would hold it."""

    def __init__(self, sizes=SIZES, seed=SEED):
        self.seals, self.leaves, self.entries = [], [], {}
        self.seed = seed
        for size in sizes:
            self.grow(size)

    def grow(self, size):
        digests = []
        for _number in range(size):
            entry_id = len(self.entries) + 101
            entry = {"actor": "Anna", "action": "a.b", "at": f"t{entry_id}", "n": 1}
            digest = entry_digest(entry)
            mark = entry_mark(mark_key(self.seed), digest)
            self.entries[entry_id] = entry
            self.leaves.append(Leaf(len(self.leaves) + 1, entry_id, digest, mark))
            digests.append(digest)
        previous = self.seals[-1] if self.seals else None
        at = f"2026-01-0{len(self.seals) + 1}T00:00:00Z"
        self.seals.append(make_seal(previous, digests, at, SOURCE, self.seed))

    def verify(self, witnesses=(), purged=0, source=SOURCE, keys=(PUBLIC,)):
        verifier = Verifier(keys, source, witnesses)
        for seal in self.seals:
            leaves = [
                leaf
                for leaf in self.leaves
                if seal["first"] <= leaf.position <= seal["last"]
            ]
            verifier.add(
                seal,
                leaves,
                {
                    leaf.entry: self.entries[leaf.entry]
                    for leaf in leaves
                    if leaf.entry in self.entries
                },
                purged=seal["number"] <= purged,
                key_of=lambda _leaf: mark_key(self.seed),
            )
        return verifier.finish()

    def lines(self):
        yield trail_line("key", {"public_key": PUBLIC})
        for seal in self.seals:
            for leaf in self.leaves:
                if seal["first"] <= leaf.position <= seal["last"]:
                    yield trail_line(
                        "entry",
                        {
                            "position": leaf.position,
                            "id": leaf.entry,
                            "digest": leaf.digest,
                            "entry": self.entries.get(leaf.entry),
                        },
                    )
            yield trail_line("seal", {**seal, "purged": False})


def codes(findings):
    return [finding.code for finding in findings]


# === CANONICAL FORM === #


@given(entries_strategy)
def test_the_form_survives_json_and_the_order_of_keys(entry):
    try:
        written = canonical(entry)
    except AuditChainError:
        # Half of a surrogate pair is no character.
        assert "\\ud" in json.dumps(entry)
        return
    back = json.loads(written)
    assert canonical(back) == written
    assert canonical(dict(reversed(list(back.items())))) == written


@given(entries_strategy, entries_strategy)
def test_different_entries_have_different_forms(one, other):
    try:
        same = canonical(one) == canonical(other)
    except AuditChainError:
        return
    assert same == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_a_known_digest():
    """The form is public: anybody can recompute it with nothing but SHA-256."""
    entry = {"b": [1, None, True], "a": "Zoë"}
    text = '{"a":"Zoë","b":[1,null,true]}'
    assert canonical(entry) == text.encode()
    assert entry_digest(entry) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "value",
    [{"a": 1.5}, {"a": [{"b": float("nan")}]}, {1: "a"}, {"a": {2: 3}}, {"a": b""}],
)
def test_what_has_no_exact_form_is_refused(value):
    with pytest.raises(AuditChainError):
        canonical(value)


def test_marks_need_the_key():
    digest = entry_digest({"a": 1})
    key = mark_key(SEED)
    assert is_mark(key, digest, entry_mark(key, digest))
    assert not is_mark(mark_key(generate_seal_key()), digest, entry_mark(key, digest))
    assert not is_mark(key, entry_digest({"a": 2}), entry_mark(key, digest))
    assert not is_mark(key, digest, None)
    assert key != SEED


# === A TRAIL AS IT WAS WRITTEN === #


@given(st.lists(st.integers(1, 6), max_size=6))
def test_an_honest_trail_has_no_findings(sizes):
    trail = Trail(sizes)
    assert trail.verify(trail.seals) == []
    first = 1
    for number, (seal, size) in enumerate(zip(trail.seals, sizes, strict=True), 1):
        assert (seal["number"], seal["first"], seal["count"]) == (number, first, size)
        first += size


def test_nothing_to_seal():
    with pytest.raises(AuditChainError):
        make_seal(None, [], "2026-01-01T00:00:00Z", SOURCE, SEED)


# === BENT ONES === #

which = st.integers(0, sum(SIZES) - 1)


@given(which, st.sampled_from(["actor", "action", "at", "n", "new"]))
def test_a_changed_entry_is_named(index, name):
    trail = Trail()
    leaf = trail.leaves[index]
    trail.entries[leaf.entry] = {**trail.entries[leaf.entry], name: "Mallory"}
    (finding,) = trail.verify()
    assert (finding.code, finding.entry, finding.position) == (
        TAMPERED,
        leaf.entry,
        leaf.position,
    )
    assert "Mallory" in finding.message or name in ("n", "new")


@given(which)
def test_a_changed_entry_with_its_digest_is_named(index):
    """Who changes the digest as well lacks the mark, and breaks the seal."""
    trail = Trail()
    leaf = trail.leaves[index]
    entry = trail.entries[leaf.entry] = {"actor": "Mallory"}
    trail.leaves[index] = Leaf(
        leaf.position, leaf.entry, entry_digest(entry), leaf.mark
    )
    findings = trail.verify()
    assert codes(findings) == [BROKEN_SEAL, INSERTED]
    assert findings[1].entry == leaf.entry


@given(which)
def test_a_removed_entry_is_named(index):
    trail = Trail()
    leaf = trail.leaves[index]
    del trail.entries[leaf.entry]
    (finding,) = trail.verify()
    assert (finding.code, finding.entry) == (REMOVED, leaf.entry)


@given(which)
def test_an_entry_removed_with_its_position_is_named(index):
    trail = Trail()
    leaf = trail.leaves.pop(index)
    del trail.entries[leaf.entry]
    (finding,) = trail.verify()
    assert (finding.code, finding.position) == (REMOVED, leaf.position)


@given(which)
def test_exchanged_entries_are_named(index):
    trail = Trail()
    one, other = trail.leaves[index], trail.leaves[index - 1]
    trail.entries[one.entry], trail.entries[other.entry] = (
        trail.entries[other.entry],
        trail.entries[one.entry],
    )
    findings = trail.verify()
    assert codes(findings) == [TAMPERED, TAMPERED]
    assert {finding.entry for finding in findings} == {one.entry, other.entry}


def test_an_inserted_entry_is_named():
    trail = Trail()
    entry = {"actor": "Mallory"}
    trail.entries[999] = entry
    trail.leaves.append(Leaf(3, 999, entry_digest(entry), "00"))
    findings = trail.verify()
    assert codes(findings) == [BROKEN_SEAL, INSERTED]
    assert findings[1].entry == 999


@pytest.mark.parametrize("number", [1, 2])
def test_a_cut_tail_is_found_by_a_kept_seal(number):
    trail = Trail()
    kept = import_seal(export_seal(trail.seals[-1]))
    cut = trail.seals[:number]
    trail.seals = cut
    trail.leaves = [leaf for leaf in trail.leaves if leaf.position <= cut[-1]["last"]]
    assert trail.verify() == [], "without one it can't be known"
    (finding,) = trail.verify([kept])
    assert (finding.code, finding.seal) == (CUT_TAIL, 3)
    assert f"ends at seal {number}" in finding.message


def test_a_trail_written_anew_is_found_by_a_kept_seal():
    """Even by somebody who has the key."""
    trail = Trail()
    other = Trail((3, 2, 4))
    (finding,) = other.verify([trail.seals[1]])
    assert (finding.code, finding.seal) == (BROKEN_SEAL, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 7),
        ("first", 2),
        ("last", 9),
        ("count", 9),
        ("entries", "00" * 32),
        ("previous", "00" * 32),
        ("sealed_at", "2020-01-01T00:00:00Z"),
        ("source", "elsewhere"),
        ("format", "other"),
        ("hash", "00" * 32),
    ],
)
def test_a_changed_seal_is_named(name, value):
    trail = Trail()
    trail.seals[1] = {**trail.seals[1], name: value}
    findings = trail.verify()
    assert BROKEN_SEAL in codes(findings)
    assert findings[0].seal == (7 if name == "number" else 2)


def test_a_missing_seal_is_found():
    trail = Trail()
    del trail.seals[1]
    findings = trail.verify()
    assert BROKEN_SEAL in codes(findings)


def test_a_seal_of_another_key_is_named():
    """A chain that was computed anew from some point on lacks the hub's key."""
    trail = Trail()
    forger = Trail(seed=generate_seal_key())
    trail.seals[2] = make_seal(
        trail.seals[1],
        [leaf.digest for leaf in trail.leaves[4:]],
        trail.seals[2]["sealed_at"],
        SOURCE,
        forger.seed,
    )
    (finding,) = trail.verify()
    assert (finding.code, finding.seal) == (WRONG_SIGNATURE, 3)
    # Naming the hub's key does not help.
    trail.seals[2]["key_id"] = seal_key_id(PUBLIC)
    (finding,) = trail.verify()
    assert finding.code == WRONG_SIGNATURE


def test_a_forged_witness_is_named_and_proves_nothing():
    trail = Trail()
    forged = {**trail.seals[2], "number": 9}
    (finding,) = trail.verify([forged])
    assert finding.code == WRONG_SIGNATURE


def test_purged_seals_may_be_empty_and_no_others():
    trail = Trail()
    trail.leaves = trail.leaves[3:]
    assert trail.verify(purged=1) == []
    assert codes(trail.verify()) == [REMOVED] * 3
    # A part of a purged seal that is still there is looked at.
    trail = Trail()
    del trail.leaves[0]
    assert codes(trail.verify(purged=1)) == [REMOVED]


def test_findings_are_counted_beyond_what_is_told():
    trail = Trail((1200,))
    trail.entries = {}
    verifier = Verifier([PUBLIC], SOURCE)
    verifier.add(trail.seals[0], trail.leaves, {})
    assert verifier.found == 1200
    assert len(verifier.finish()) == 1000


# === KEPT SEALS === #


def test_a_seal_survives_its_export():
    seal = Trail().seals[2]
    assert import_seal(export_seal(seal)) == seal


@given(st.binary(max_size=200))
def test_no_file_from_outside_breaks_the_import(content):
    with pytest.raises(AuditChainError):
        import_seal(content)


@pytest.mark.parametrize("name", ["number", "hash", "signature", "public_key"])
def test_an_incomplete_seal_is_refused(name):
    seal = dict(Trail().seals[0])
    del seal[name]
    with pytest.raises(AuditChainError, match=name):
        import_seal(json.dumps(seal).encode())
    with pytest.raises(AuditChainError):
        import_seal(json.dumps({**seal, name: True}).encode())


def test_a_large_file_is_no_seal():
    with pytest.raises(AuditChainError, match="too large"):
        import_seal(b" " * 20_000)


# === EXPORTED TRAILS === #


def test_an_exported_trail_is_verified():
    trail = Trail()
    verifier = verify_trail(trail.lines(), [PUBLIC], [trail.seals[2]])
    assert (verifier.entries, verifier.seals, verifier.found) == (8, 3, 0)
    assert verify_trail(trail.lines()).found == 0


def test_an_exported_trail_of_another_key():
    verifier = verify_trail(Trail().lines(), [seal_public_key(generate_seal_key())])
    assert codes(verifier.findings) == [WRONG_SIGNATURE] * 3


def test_a_bent_exported_trail():
    trail = Trail()
    lines = list(trail.lines())
    lines[2] = lines[2].replace(b"Anna", b"Eve")
    assert codes(verify_trail(lines, [PUBLIC]).findings) == [TAMPERED]
    del lines[2]
    assert codes(verify_trail(lines, [PUBLIC]).findings) == [REMOVED]
    seal = copy.copy(trail.seals[2])
    assert codes(verify_trail(lines[:5], [PUBLIC], [seal]).findings) == [
        REMOVED,
        CUT_TAIL,
    ]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"kind": "other"}', b'{"kind": "entry"}', b'{"kind": "seal"}'],
)
def test_what_is_no_trail_is_refused(line):
    with pytest.raises(AuditChainError, match="Line 1"):
        verify_trail([line])


def test_the_command(tmp_path, capsys):
    """The program that needs no Odoo, as a person calls it."""
    path = Path(__file__).resolve().parents[2] / "scripts" / "audit_verify.py"
    spec = importlib.util.spec_from_file_location("audit_verify", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    trail = Trail()
    file, kept = tmp_path / "trail.jsonl", tmp_path / "kept.json"
    file.write_bytes(b"".join(trail.lines()))
    kept.write_bytes(export_seal(trail.seals[2]))
    arguments = [str(file), "--seal", str(kept), "--public-key", PUBLIC]
    assert program.main(arguments) == 0
    assert capsys.readouterr().out == "8 entries, 3 seals, 0 findings\n"
    file.write_bytes(b"".join(list(trail.lines())[:5]))
    assert program.main(arguments) == 1
    assert capsys.readouterr().out.startswith("cut_tail: ")
    file.write_bytes(b"nonsense")
    assert program.main(arguments) == 2
