from odoo import SUPERUSER_ID, api, models

from ...signing import EXPORTED_FIELDS, INSERTED, WRONG_SIGNATURE, Leaf, Verifier
from . import constants
from .seals import SELECT_SEALS, Report


class FinanceAuditSeal(models.Model):
    """How the trail is verified, and who is told when it was bent."""

    _inherit = "finance.audit.seal"

    @api.model
    def _cron_verify(self):
        """Verify the trail, and open an exception if it was bent."""
        self._verify_and_tell()

    @api.model
    def _verify_and_tell(self, witnesses=()):
        """Verify, and have a break told to somebody.

        :param witnesses: seals that were kept elsewhere, see ``signing.import_seal``
        :rtype: Report
        """
        report = self._verify(witnesses)
        self.env["finance.audit.entry"]._note(
            "audit.verify",
            res_model=self._name,
            facts={
                "seals": report.seals,
                "entries": report.entries,
                "findings": report.found,
            },
        )
        if report.found:
            self._open_break(report)
        return report

    @api.model
    def _verify(self, witnesses=(), emit=None):
        """Verify the whole trail, seal by seal.

        :param emit: called with (kind, content) of each line of an exported trail
        :rtype: Report
        """
        self.env.flush_all()
        self.env.cr.flush()
        public_keys = self.env["finance.audit.key"]._trusted()
        verifier = Verifier(public_keys, witnesses=witnesses)
        key_of = self._check_keys(verifier, public_keys)
        emit = emit or (lambda kind, content: None)
        for key in public_keys:
            emit("key", {"public_key": key})
        purged = self._purged_until()
        number = None
        while seal := self._seal_after(number):
            number = seal["number"]
            leaves, keys = self._leaves("p.seal_id = %s", [seal["id"]])
            entries = self._entries(leaves)
            gone = number <= purged and not leaves
            verifier.add(
                seal,
                leaves,
                entries,
                purged=gone,
                key_of=lambda leaf, keys=keys: key_of(keys[leaf.entry]),
            )
            self._emit(emit, leaves, entries)
            emit("seal", {**_exported_part(seal), "purged": gone})
        leaves, keys = self._leaves("p.seal_id IS NULL", [])
        entries = self._entries(leaves)
        for leaf in leaves:
            verifier.check_leaf(
                leaf,
                entries.get(leaf.entry),
                key_of=lambda leaf, keys=keys: key_of(keys[leaf.entry]),
            )
        self._emit(emit, leaves, entries)
        self._check_strangers(verifier)
        findings = verifier.finish()
        return Report(verifier.seals, verifier.entries, verifier.found, findings)

    @api.model
    def _check_keys(self, verifier, trusted):
        """Name the keys that are not to be trusted.

        :return: function of the id of a mark's key: the key to check it with, ``None``
            if that can't be done here
        """
        mark_keys = self.env["finance.audit.key"]._mark_keys()
        known = dict(mark_keys)
        self.env.cr.execute("SELECT id, key_id, public_key FROM finance_audit_key")
        for key, name, public_key in self.env.cr.fetchall():
            if key in mark_keys:
                continue
            if public_key in trusted:
                known[key] = None
                continue
            verifier.report(
                WRONG_SIGNATURE,
                f"Key {name} can't be decrypted by this server, so it may be "
                "anybody's. If you know that it is the hub's, because this database "
                "is a copy or its encryption keys were replaced, restore the "
                "encryption key, or name the public key in the configuration as "
                "finance_hub_audit_public_keys.",
            )
        return lambda key: known.get(key, constants.NO_KEY)

    @api.model
    def _emit(self, emit, leaves, entries):
        for leaf in leaves:
            emit(
                "entry",
                {
                    "position": leaf.position,
                    "id": leaf.entry,
                    "digest": leaf.digest,
                    "entry": entries.get(leaf.entry),
                },
            )

    @api.model
    def _seal_after(self, number):
        """Return the seal with the next larger number, None behind the last."""
        self.env.cr.execute(
            f"{SELECT_SEALS} WHERE s.number > %s ORDER BY s.number LIMIT 1",
            [-1 if number is None else number],
        )
        return next(iter(self._as_seals(self.env.cr.dictfetchall())), None)

    @api.model
    def _leaves(self, where, parameters):
        """Return (leaves, {entry id: id of the mark's key}) of positions."""
        self.env.cr.execute(
            f"""
            SELECT p.position, p.entry_id, p.digest, p.mark, p.key_id
              FROM finance_audit_position p
             WHERE {where}
             ORDER BY p.position, p.entry_id
            """,  # noqa: S608
            parameters,
        )
        rows = self.env.cr.fetchall()
        return (
            [
                Leaf(place, entry, digest, mark)
                for place, entry, digest, mark, _ in rows
            ],
            {row[1]: row[4] for row in rows},
        )

    @api.model
    def _entries(self, leaves):
        return self.env["finance.audit.entry"]._canonical_rows(
            "id = ANY(%s)", [[leaf.entry for leaf in leaves]]
        )

    @api.model
    def _check_strangers(self, verifier):
        """Name entries that have no position: the hub always writes both."""
        cr = self.env.cr
        cr.execute(
            """
            SELECT e.id, e.at, e.actor, e.action
              FROM finance_audit_entry e
              LEFT JOIN finance_audit_position p ON p.entry_id = e.id
             WHERE p.id IS NULL
             ORDER BY e.id
            """
        )
        for entry, moment, actor, action in cr.fetchall():
            verifier.report(
                INSERTED,
                f"Entry {entry} was not written by the hub: it has no digest. It "
                f"says: at {moment}, actor {actor}, action {action}",
                entry=entry,
            )

    @api.model
    def _open_break(self, report):
        """Open an exception that freezes every purge."""
        company = self.env.ref("base.main_company")
        self.env["finance.exception"].sudo()._open(
            constants.CODE_BROKEN,
            company=company,
            record=self.sudo().search([], limit=1) or company,
            fingerprint="audit",
            summary=self.env._(
                "The audit trail is not as it was written: %s findings", report.found
            ),
            cause=self._told(report),
        )

    @api.model
    def _told(self, report):
        told = [finding.message for finding in report.findings]
        shown = told[: constants.FINDINGS_TOLD]
        if report.found > len(shown):
            shown.append(self.env._("… and %s more", report.found - len(shown)))
        return "\n".join(shown)


def _exported_part(seal):
    return {name: seal[name] for name in EXPORTED_FIELDS}


def trail(registry, emit, witnesses=()):
    """Verify the trail of a database and hand out its lines; for the command line.

    :rtype: Report
    """
    with registry.cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        return env["finance.audit.seal"]._verify(witnesses, emit)
