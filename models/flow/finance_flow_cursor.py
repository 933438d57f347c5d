from odoo import api, fields, models


class FinanceFlowCursor(models.Model):
    """Up to where the engine has read a kind of facts, for certain.

    A row gets its number before its transaction commits, so a later number can be seen
    before an earlier one. What was read last is therefore only *proposed*; it becomes
    the position when every transaction that was under way at that time has ended. Until
    then it is read again, which does no harm: what follows from a fact is done once.
    """

    _name = "finance.flow.cursor"
    _description = "Finance Flow Cursor"
    _rec_name = "kind"
    _log_access = False

    kind = fields.Char(required=True, readonly=True)
    position = fields.Integer(readonly=True, aggregator=False)
    proposed = fields.Integer(readonly=True, aggregator=False)
    moment = fields.Datetime(readonly=True)
    proposed_moment = fields.Datetime(readonly=True)
    horizon = fields.Char(
        readonly=True,
        help="The first transaction that was not known when this was proposed.",
    )

    _kind_unique = models.UniqueIndex("(kind)")

    @api.model
    def _claim(self, kind, *, position=0, moment=None):
        """Return the cursor of a kind of facts for sole use, empty if another has it.

        :param int position: where a new one begins
        """
        self.flush_model()
        self.env.cr.execute(
            "INSERT INTO finance_flow_cursor (kind, position, moment)"
            " VALUES (%s, %s, %s) ON CONFLICT (kind) DO NOTHING",
            [kind, position, moment],
        )
        self.env.cr.execute(
            "SELECT id FROM finance_flow_cursor WHERE kind = %s FOR UPDATE SKIP LOCKED",
            [kind],
            log_exceptions=False,
        )
        row = self.env.cr.fetchone()
        self.invalidate_model(flush=False)
        cursor = self.browse(row and row[0])
        cursor._settle()
        return cursor

    def _settle(self):
        """Take what was proposed as read, if nothing before it can turn up any more."""
        for cursor in self.filtered("horizon"):
            self.env.cr.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric"
            )
            (oldest,) = self.env.cr.fetchone()
            if oldest >= int(cursor.horizon):
                cursor.write(
                    {
                        "position": cursor.proposed or cursor.position,
                        "moment": cursor.proposed_moment or cursor.moment,
                        "proposed": False,
                        "proposed_moment": False,
                        "horizon": False,
                    }
                )

    def _propose(self, *, position=None, moment=None):
        """Note what was read, unless something waits to be settled already.

        :param moment: naive UTC
        """
        self.ensure_one()
        if self.horizon or not (
            (position and position > self.position)
            or (moment and moment > (self.moment or moment.min))
        ):
            return
        self.env.cr.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric"
        )
        (newest,) = self.env.cr.fetchone()
        self.write(
            {
                "proposed": position,
                "proposed_moment": moment,
                "horizon": str(int(newest)),
            }
        )
