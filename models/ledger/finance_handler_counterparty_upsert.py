from odoo import models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .. import clock, constants
from ..mapping.changes import changing
from ..mapping.duplicates import CANDIDATE, Party, evidence, score
from ..mapping.finance_reference import counterparty_key
from ..mapping.similarity import compact
from .errors import CommandError, CommandIgnored, CommandWaits

# The column of what is taken over as it comes.
PLAIN = {
    "name": "name",
    "vat": "vat",
    "registration": "company_registry",
    "reference": "ref",
    "email": "email",
    "phone": "phone",
    "website": "website",
}
PLAIN_ADDRESS = ("street", "street2", "city", "zip")
TERMS = {
    "payment_terms": "property_payment_term_id",
    "supplier_payment_terms": "property_supplier_payment_term_id",
}
# The column of what can be cleared.
CLEARED = {
    **PLAIN,
    **TERMS,
    **{name: name for name in PLAIN_ADDRESS},
    "state": "state_id",
    "parent": "parent_id",
}
RANKS = {"customer": "customer_rank", "supplier": "supplier_rank"}


class FinanceHandlerCounterpartyUpsert(models.AbstractModel):
    """``counterparty.upsert``: a partner is created or brought up to date.

    What the sender leaves out stays as it is; what it names as cleared is emptied. A
    party that may be known already is never created in silence: only an equal VAT
    number together with a similar name links it, everything else asks a person.
    """

    _name = "finance.handler.counterparty.upsert"
    _description = "Handler of Counterparty Upsert"
    _inherit = "finance.handler"

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.CounterpartyUpsert.

        :raise CommandError: D-OWNERSHIP, D-STALE, D-DUPLICATE-PARTY, D-ORPHAN,
            D-UNMAPPED, D-SCHEMA
        """
        connector = command.connector_id
        references = self.env["finance.reference"]
        self.env["finance.ownership"]._check(connector, "counterparties")
        reference = references._current(connector, "res.partner", content.external_id)
        partner = references._find(connector, "res.partner", content.external_id)
        changed_at = clock.naive(content.changed_at)
        if partner and reference.changed_at and reference.changed_at > changed_at:
            raise CommandIgnored(
                "D-STALE",
                self.env._(
                    "“%(name)s” is known as it was changed there at %(known)s UTC; "
                    "this is older.",
                    name=partner.display_name,
                    known=reference.changed_at,
                ),
            )
        missing = []
        values = self._values(connector, content, missing)
        partner = partner or self._match(command, content)
        try:
            partner = self._store(partner, values, content)
            # What Odoo refuses is refused here, not at the end of the transaction.
            partner.flush_recordset()
        except (UserError, ValidationError) as error:
            raise CommandError(
                "D-SCHEMA",
                self.env._(
                    "Odoo does not take “%(name)s” as it is: %(reason)s",
                    name=content.name,
                    reason=error,
                ),
            ) from error
        reference = references._link(connector, partner, content.external_id)
        above = {}
        if content.parent or "parent" in content.cleared:
            above["parent_id"] = references._current(
                connector, "res.partner", content.parent
            ).id
        reference.write({"changed_at": changed_at, **above})
        self._add_bank_accounts(partner, content)
        if missing:
            partner.message_post(
                body=self.env._(
                    "Left out of what “%(system)s” sent, as Odoo does not know it: "
                    "%(missing)s.",
                    system=connector.name,
                    missing="; ".join(missing),
                )
            )
        command.write({"res_model": partner._name, "res_id": partner.id})

    # === WHAT IS SENT === #

    def _values(self, connector, content, missing):
        """Return the columns that the sender speaks of.

        :param list missing: gets what Odoo does not know, in words
        """
        values = {
            column: getattr(content, name)
            for name, column in PLAIN.items()
            if getattr(content, name)
        }
        if content.kind:
            values["is_company"] = content.kind == "company"
        if content.status:
            values["finance_blocked"] = content.status == "blocked"
        for name, column in TERMS.items():
            code = getattr(content, name)
            if code:
                values[column] = (
                    self.env["finance.mapping"]
                    ._resolve(connector, "payment_term", code)
                    .id
                )
        if content.language:
            language = self._language(content.language)
            if language:
                values["lang"] = language
            else:
                missing.append(self.env._("language %s", content.language))
        if content.address:
            values.update(self._address_values(content.address, missing))
        if content.parent:
            values["parent_id"] = self._parent(connector, content.parent).id
        values.update({CLEARED[name]: False for name in content.cleared})
        return values

    def _language(self, text):
        """Return the code of an installed language: ``de`` and ``de-CH`` may be."""
        code = text.replace("-", "_")
        installed = [known for known, _name in self.env["res.lang"].get_installed()]
        exact = [known for known in installed if known.lower() == code.lower()]
        alike = [
            known
            for known in installed
            if known.split("_")[0].lower() == code.split("_")[0].lower()
        ]
        return (exact or alike or [False])[0]

    def _address_values(self, address, missing):
        values = {
            name: getattr(address, name)
            for name in PLAIN_ADDRESS
            if getattr(address, name)
        }
        country = self.env["res.country"]
        if address.country:
            country = country.search([("code", "=", address.country)], limit=1)
            if country:
                values["country_id"] = country.id
            else:
                missing.append(self.env._("country %s", address.country))
        if address.state:
            state = self.env["res.country.state"]
            if country:
                state = state.search(
                    Domain("country_id", "=", country.id)
                    & (
                        Domain("code", "=ilike", _escaped(address.state))
                        | Domain("name", "=ilike", _escaped(address.state))
                    ),
                    limit=1,
                )
            if state:
                values["state_id"] = state.id
            else:
                missing.append(self.env._("state %s", address.state))
        return values

    def _parent(self, connector, external_id):
        """Return the partner above.

        :raise CommandWaits: D-ORPHAN, until it has arrived
        """
        parent = self.env["finance.reference"]._find(
            connector, "res.partner", external_id
        )
        if not parent:
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "It belongs to “%(parent)s”, which “%(system)s” has not sent yet.",
                    parent=external_id,
                    system=connector.name,
                ),
                counterparty_key(connector, external_id),
                constants.ORPHAN_GRACE,
            )
        return parent

    # === WHO IT IS === #

    def _match(self, command, content):
        """Return the partner that is surely meant; empty if it is surely new.

        :raise CommandError: D-DUPLICATE-PARTY, naming who it may be
        """
        if command.party_is_new:
            return self.env["res.partner"]
        candidates = self._candidates(command.connector_id, content)
        if not candidates:
            return self.env["res.partner"]
        by_vat = [found for found in candidates if "vat" in found[2]]
        if len(by_vat) == 1:
            partner, _score, reasons = by_vat[0]
            named_alike = {"same_name", "similar_name"} & set(reasons)
            # Known there under another id: the sender tells the two apart.
            if named_alike and not self._known(command.connector_id, partner):
                return partner
        raise CommandError(
            "D-DUPLICATE-PARTY",
            self.env._(
                "“%(name)s” may be known already: %(candidates)s. Use Link or Create "
                "to say whether it is one of them or somebody new.",
                name=content.name,
                candidates="; ".join(
                    f"{partner.display_name} ({self._reason(reasons)})"
                    for partner, _score, reasons in candidates
                ),
            ),
        )

    def _known(self, connector, partner):
        return bool(
            self.env["finance.reference"]
            .sudo()
            .search_count(
                [
                    ("connector_id", "=", connector.id),
                    ("res_model", "=", "res.partner"),
                    ("res_id", "=", partner.id),
                    ("valid_to", "=", False),
                ],
                limit=1,
            )
        )

    def _candidates(self, connector, content):
        """Return [(partner, score, evidence)] of who may be meant, the likeliest first.

        :param content: a contracts.CounterpartyUpsert
        """
        address = content.address
        sent = Party(
            name=content.name,
            vat=content.vat or "",
            registration=content.registration or "",
            email=content.email or "",
            ibans=frozenset(
                compact(account.number) for account in content.bank_accounts
            ),
            city=(address and address.city) or "",
            country=(address and address.country) or "",
        )
        found = []
        for partner in self._possible(connector.company_id, sent):
            reasons = evidence(sent, _party(partner))
            weight = score(reasons)
            if weight >= CANDIDATE:
                found.append((partner, weight, reasons))
        found.sort(key=lambda item: (-item[1], item[0].id))
        return found[: constants.PARTY_CANDIDATES_SHOWN]

    def _possible(self, company, sent):
        """Return the partners that share anything by which an index finds them."""
        bare = SQL("'[^A-Za-z0-9]', '', 'g'")
        searches = [
            SQL("upper(regexp_replace(%s, %s)) = %s", SQL(column), bare, number)
            for column, number in (
                ("vat", compact(sent.vat).upper()),
                ("company_registry", compact(sent.registration).upper()),
            )
            if number
        ]
        if sent.email:
            searches.append(SQL("lower(email) = %s", sent.email.strip().lower()))
        first_word = sent.name.strip().lower().split()[:1]
        if first_word:
            searches.append(SQL("lower(name) LIKE %s", f"{_escaped(first_word[0])}%"))
        if sent.ibans:
            searches.append(
                SQL(
                    "id IN (SELECT partner_id FROM res_partner_bank"
                    " WHERE sanitized_acc_number = ANY(%s))",
                    [iban.upper() for iban in sent.ibans],
                )
            )
        self.env.flush_all()
        # Each by its own index, and none of them without end.
        rows = self.env.execute_query(
            SQL(" UNION ").join(
                SQL(
                    """(SELECT id FROM res_partner WHERE %s
                         AND id = commercial_partner_id
                         AND (company_id IS NULL OR company_id = %s)
                       ORDER BY id LIMIT %s)""",
                    search,
                    company.id,
                    constants.PARTY_SEARCH_LIMIT,
                )
                for search in searches
            )
        )
        return self.env["res.partner"].browse(sorted(row[0] for row in rows))

    def _reason(self, reasons):
        """Return evidence in words."""
        labels = {
            "vat": self.env._("same VAT number"),
            "registration": self.env._("same registration"),
            "iban": self.env._("same bank account"),
            "email": self.env._("same e-mail address"),
            "same_name": self.env._("same name"),
            "similar_name": self.env._("similar name"),
            "city": self.env._("same city"),
            "country": self.env._("no other country"),
            "other_country": self.env._("but another country"),
        }
        return ", ".join(labels[reason] for reason in reasons)

    # === WHAT IS KEPT === #

    def _store(self, partner, values, content):
        """Create or change the partner; a write that changes nothing is none.

        :return: the partner
        """
        ranks = {RANKS[role]: 1 for role in content.roles}
        if not partner:
            return partner.create({"is_company": True, **values, **ranks})
        ranks = {name: 1 for name in ranks if not partner[name]}
        news = {
            name: value
            for name, value in {**values, **ranks}.items()
            if changing(partner, {name: value}, {name})
        }
        if news:
            partner.write(news)
        return partner

    def _add_bank_accounts(self, partner, content):
        """Add accounts that are not known; a person decides whether to trust them."""
        accounts = self.env["res.partner.bank"].with_context(active_test=False)
        known = {
            compact(account.acc_number)
            for account in accounts.search([("partner_id", "=", partner.id)])
        }
        for account in content.bank_accounts:
            number = compact(account.number)
            if not number or number in known:
                continue
            known.add(number)
            bank = self.env["res.bank"]
            if account.bic:
                bank = bank.search([("bic", "=", account.bic)], limit=1)
            currency = self.env["res.currency"]
            if account.currency:
                currency = currency.search([("name", "=", account.currency)])
            accounts.create(
                {
                    "partner_id": partner.id,
                    "acc_number": account.number,
                    "acc_holder_name": account.holder,
                    "bank_id": bank.id,
                    "currency_id": currency.id,
                    "allow_out_payment": False,
                }
            )


def _party(partner):
    """Return a ``res.partner`` as the search for duplicates sees it."""
    return Party(
        name=partner.name or "",
        vat=partner.vat or "",
        registration=partner.company_registry or "",
        email=partner.email or "",
        ibans=frozenset(
            compact(account.acc_number)
            for account in partner.with_context(active_test=False).bank_ids
        ),
        city=partner.city or "",
        country=partner.country_id.code or "",
    )


def _escaped(text):
    """Return a text of which LIKE takes every character for itself."""
    return "".join(f"\\{c}" if c in "\\%_" else c for c in text)
