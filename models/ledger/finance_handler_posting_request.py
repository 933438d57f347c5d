from odoo import models
from odoo.exceptions import UserError

from ...contracts import parse_command
from .. import clock
from ..consent import Subject, covered
from .errors import CommandError, CommandHeld, CommandIgnored, CommandWaits
from .posting_plan import Plan, content_digest

# Who has the say over what a kind of entry changes.
STATUTORY_KINDS = ("tax", "opening")


class PostingRejected(CommandError):
    """A request with faults; all of them are kept with it.

    :ivar keep: called with the command after what the handler did was undone
    """

    def __init__(self, code, message, keep):
        super().__init__(code, message)
        self.keep = keep

    def report(self, command):
        self.keep(command)
        return super().report(command)


class PostingUnmapped(CommandWaits):
    """A request with codes that nobody mapped yet; each is reported.

    :ivar missing: the errors of the codes
    """

    def __init__(self, message, missing, keep):
        super().__init__("D-UNMAPPED", message, missing[0].key)
        self.missing = missing
        self.keep = keep

    def report(self, command):
        self.keep(command)
        for error in self.missing:
            error.report(command)


class FinanceHandlerPostingRequest(models.AbstractModel):
    """``posting.request``: checked, mapped, held for approval or posted.

    A key of a system is posted once, for ever. A request whose key was rejected may
    come again with other content, as nothing was posted.
    """

    _name = "finance.handler.posting.request"
    _description = "Handler of Posting Request"
    _inherit = "finance.handler"

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PostingRequest.

        :raise CommandError: D-SCHEMA, D-OWNERSHIP, B-PERIOD-LOCKED, D-TAX-MISMATCH,
            C-AMOUNT-INTEGRITY, C-IDEMP-MISUSE
        :raise CommandWaits: D-UNMAPPED, with all codes at once
        :raise CommandHeld: above the connector's threshold
        """
        digest = content_digest(content)
        request = self.env["finance.posting.request"]._of(
            command.connector_id, content.business_key
        )
        self._check_key(command, content, digest, request)
        plan = Plan(self.env, command, content)
        plan.check()
        self._check_owner(command, content, digest, plan)
        self._refuse_faults(content, digest, plan)
        version = plan.version()
        self._check_holds(request)
        self._check_approval(command, content, digest, plan, request, version)
        move = self._book(command, content, plan)
        request = request._keep(
            command,
            content,
            digest,
            version=version,
            state="posted",
            total=plan.total,
            mapping=plan.mapping_names(),
            faults=False,
            reason=False,
            move_id=move.id,
        )
        if content.reversal_date:
            request.reversal_move_id = self._book_reversal(content, move)
        self._supersede_rejected(command)

    # === ONCE === #

    def _check_same(self, earlier, content):
        if content_digest(earlier) != content_digest(content):
            raise self._misuse(earlier, content)

    def _check_key(self, command, content, digest, request):
        """Refuse a key that was used for something else, ignore the same again."""
        if not request or request.command_id == command:
            return
        if request.state == "rejected" or command in request.command_id.correction_ids:
            return
        earlier = request.command_id
        command.write({"res_model": request._name, "res_id": request.id})
        if request.digest != digest:
            raise self._misuse(parse_command(earlier.type, earlier.data), content)
        raise CommandIgnored(
            "D-STALE",
            self.env._("The same request is known already: %s.", request.name),
        )

    def _misuse(self, earlier, content):
        """Return the error of a key that comes with other content."""
        amounts = (earlier.currency, *_amounts(earlier)) != (
            content.currency,
            *_amounts(content),
        )
        return CommandError(
            "C-AMOUNT-INTEGRITY" if amounts else "C-IDEMP-MISUSE",
            self.env._(
                "The key “%(key)s” was used before with another %(what)s. Nothing was "
                "posted for this one. If it is another entry, have it sent under a key "
                "of its own.",
                key=content.business_key,
                what=self.env._("amount") if amounts else self.env._("content"),
            ),
        )

    def _supersede_rejected(self, command):
        """Close what was refused under the key before: this one was posted."""
        refused = self.env["finance.command"].search(
            [
                ("connector_id", "=", command.connector_id.id),
                ("type", "=", command.type),
                ("business_key", "=", command.business_key),
                ("state", "in", ("failed", "waiting")),
                ("id", "!=", command.id),
            ]
        )
        refused._exceptions()._resolve(
            self.env._("Sent again and posted: %s", command.title)
        )
        refused.write({"state": "superseded"})

    # === REFUSING AND HOLDING === #

    def _check_owner(self, command, content, digest, plan):
        domain = "statutory_postings" if content.kind in STATUTORY_KINDS else "journals"
        try:
            self.env["finance.ownership"]._check(
                command.connector_id, domain, plan.journal
            )
        except CommandHeld as held:
            keep = self._keeper(content, digest, plan, "held", held.message)

            def hold(command, ask=held.on_hold):
                keep(command)
                ask(command)

            raise CommandHeld(held.code, held.message, hold) from None
        except CommandError as error:
            plan.faults.append(
                {"code": error.code, "pointer": "", "message": error.message}
            )

    def _refuse_faults(self, content, digest, plan):
        faults = plan.faults
        if faults:
            message = faults[0]["message"]
            if len(faults) > 1:
                lines = (f"{fault['pointer']}: {fault['message']}" for fault in faults)
                message = "\n".join((self.env._("%s faults.", len(faults)), *lines))
            keep = self._keeper(content, digest, plan, "rejected", message, faults)
            raise PostingRejected(faults[0]["code"], message, keep)
        if plan.unmapped:
            missing = plan.unmapped
            message = (
                missing[0].message
                if len(missing) == 1
                else "\n".join(
                    (
                        self.env._("%s codes are not mapped.", len(missing)),
                        *(error.message for error in missing),
                    )
                )
            )
            faults = [
                {
                    "code": error.code,
                    "pointer": error.pointer,
                    "message": error.message,
                }
                for error in missing
            ]
            keep = self._keeper(
                content,
                digest,
                plan,
                "held",
                self.env._("It is posted once these codes are mapped."),
                faults,
            )
            raise PostingUnmapped(message, missing, keep)

    def _keeper(self, content, digest, plan, state, reason, faults=None, version=None):
        """Return what keeps the request, after the handler's work was undone."""
        values = {
            "state": state,
            "reason": reason,
            "faults": faults or False,
            "version": version,
            "total": plan.total,
            "mapping": plan.mapping_names(),
        }
        requests = self.env["finance.posting.request"]
        return lambda command: requests._keep(command, content, digest, **values)

    def _check_holds(self, request):
        """Wait for the release of what holds the request itself."""
        holds = self.env["finance.hold"]._stopping(request._name, request.ids)
        if holds:

            def hold(command):
                holds.command_ids |= command

            raise CommandHeld("B-RISK-PENDING", holds[0].reason, hold)

    def _check_approval(self, command, content, digest, plan, request, version):
        """Hold what is above the threshold, unless this version was approved."""
        connector = command.connector_id
        policies = self._policies(command, plan)
        self._check_verdict(content, digest, plan, request, version, policies)
        policies = policies.filtered(lambda policy: policy.effect == "approval")
        needed = connector._needs_posting_approval(plan.total)
        if not needed and not policies:
            return
        approvals = self.env["finance.approval"]
        if request and request.version == version and approvals._given(request):
            consented = approvals._consented(request).get(request.id, set())
            if consented.issuperset(policies.ids):
                return
        currency = command.company_id.currency_id
        threshold = connector._posting_threshold()
        if policies:
            threshold = policies._threshold(command.company_id)
            reason = ", ".join(policies.mapped("name"))
        elif threshold:
            reason = self.env._(
                "The total of %(total)s is above the approval threshold of "
                "%(threshold)s.",
                total=currency.format(plan.total),
                threshold=currency.format(threshold),
            )
        else:
            reason = self.env._("Every entry of this system needs approval.")
        keep = self._keeper(content, digest, plan, "held", reason, version=version)

        def hold(command):
            request = keep(command)
            request.approval_id = approvals._request(
                request,
                title=self.env._(
                    "Post %(key)s: %(reference)s",
                    key=request.name,
                    reference=content.reference or request.kind,
                ),
                policy=reason,
                amount=plan.total,
                threshold=threshold,
                currency=currency,
                requested_by=content.preparer,
                connector=connector,
                correlation_id=command.correlation_id,
                policies=policies,
                expires_at=policies._expiry(),
            )

        raise CommandHeld("B-APPROVAL-SLA", reason, hold)

    def _policies(self, command, plan):
        """Return the policies that the entry falls under."""
        company = command.company_id
        partners = self.env["res.partner"].union(
            *plan.mapping.get("counterparty", {}).values()
        )
        subject = Subject(
            key=True,
            kind="posting_request",
            company=company,
            amount=plan.total,
            partners=partners | partners.commercial_partner_id,
            connector_ids={command.connector_id.id},
            record=None,
        )
        policies = self.env["finance.policy"]
        return policies._matching([subject]).get(True, policies)

    def _check_verdict(self, content, digest, plan, request, version, policies):
        """Hold what a policy wants a verdict on, unless this version has one."""
        waiting = policies.filtered(lambda policy: policy.effect == "hold")
        if request and request.version == version:
            cleared = (
                self.env["finance.hold"]
                ._cleared(request, {request.id: waiting})
                .get(request.id, set())
            )
            waiting = waiting.filtered(lambda policy: policy.id not in cleared)
        if not waiting:
            return
        reason = self.env._(
            "A policy asks for a verdict first: %s.", ", ".join(waiting.mapped("name"))
        )
        keep = self._keeper(content, digest, plan, "held", reason, version=version)

        def hold(command):
            request = keep(command)
            for policy in waiting:
                policy._place_hold(request, plan.total, command=command)

        raise CommandHeld("B-RISK-PENDING", reason, hold)

    # === BOOKING === #

    def _book(self, command, content, plan):
        """Return the posted entry.

        :raise CommandError: what Odoo itself says against it
        """
        # The lines are complete: no tax or term line is to be added to them, and no
        # cost centre to be merged with what a new line had before.
        moves = self.env["account.move"].with_context(
            skip_invoice_sync=True, skip_analytic_sync=True, tracking_disable=True
        )
        move = moves.create(
            {
                "move_type": "entry",
                "journal_id": plan.journal.id,
                "date": content.date,
                "currency_id": plan.currency.id,
                "ref": content.reference or content.business_key,
                "narration": content.description,
                "line_ids": [(0, 0, values) for values in plan.line_values()],
            }
        )
        self._post(move, content)
        return move.with_env(self.env)

    def _post(self, move, content):
        try:
            # The request has the consent that its entry needs.
            with self.env.cr.savepoint(), covered():
                move._post(soft=False)
        except UserError as error:
            raise CommandError(
                "D-SCHEMA", self.env._("Odoo does not post it: %s", error)
            ) from error

    def _book_reversal(self, content, move):
        """Return the entry that takes an accrual back on its day.

        One in the future is posted by Odoo when its day has come.
        """
        reversal = move._reverse_moves(
            [
                {
                    "date": content.reversal_date,
                    "journal_id": move.journal_id.id,
                    "ref": self.env._("Reversal of: %s", move.name),
                    "auto_post": "no",
                }
            ]
        )
        if content.reversal_date > clock.now().date():
            reversal.auto_post = "at_date"
        else:
            self._post(reversal, content)
        return reversal


def _amounts(content):
    return [(line.account, line.debit, line.credit) for line in content.lines]
