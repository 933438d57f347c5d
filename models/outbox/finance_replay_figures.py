from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models

from ...contracts import EVENT_TYPES
from .. import clock, constants
from .finance_replay import OVER_STATES


class FinanceReplayFigures(models.Model):
    """What a replay shows of its count and of how far it has come."""

    _inherit = "finance.replay"

    # === COMPUTES === #

    @api.depends("kind")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for replay in self:
            label = labels.get(replay.kind, "")
            replay.display_name = f"{label} {replay._origin.id or ''}".strip()

    @api.depends("event_ids")
    def _compute_event_count(self):
        for replay in self:
            replay.event_count = len(replay.event_ids)

    @api.depends("kind", "total", "document_total", "count_complete")
    def _compute_needs_approval(self):
        for replay in self:
            replay.needs_approval = (
                replay.kind == "backfill"
                or not replay.count_complete
                or replay.total > constants.REPLAY_APPROVAL_THRESHOLD
            )

    @api.depends("total", "document_total", "count_complete", "counted_at")
    def _compute_total_text(self):
        for replay in self:
            total = replay.total + replay.document_total
            if not replay.counted_at:
                replay.total_text = False
            elif replay.count_complete:
                replay.total_text = f"{total:,}"
            else:
                replay.total_text = self.env._("more than %s", f"{total:,}")

    @api.depends("counts", "total_text")
    def _compute_count_html(self):
        for replay in self:
            replay.count_html = replay.counts and replay._count_html()

    def _compute_figures(self):
        groups = (
            self.env["finance.delivery"]
            .sudo()
            ._read_group(
                [
                    ("replay_id", "in", self.filtered("started_at").ids),
                    ("company_id", "in", self.company_id.ids),
                ],
                ["replay_id", "state"],
                ["__count"],
            )
        )
        figures = {}
        for replay_id, state, count in groups:
            figures.setdefault(replay_id, {})[state] = count
        now = clock.naive_now()
        for replay in self:
            found = figures.get(replay.id, {})
            replay.waiting = found.get("waiting", 0)
            if replay.state in OVER_STATES:
                replay.delivered = replay.final_delivered
                replay.failed = replay.final_failed
            else:
                replay.delivered = found.get("delivered", 0)
                replay.failed = found.get("dead", 0) + found.get("parked", 0)
            replay._compute_progress(now)

    def _compute_progress(self, now):
        self.ensure_one()
        finished = self.delivered + self.failed
        if self.all_made:
            total = self.enqueued
        elif self.count_complete:
            total = max(self.enqueued, self.total + self.document_total)
        elif self.enqueued and self.cursor_event_id:
            # How many there are is known only where one has been.
            total = self.enqueued * self.until_event_id / self.cursor_event_id
        else:
            total = 0
        if self.state == "done":
            self.percent = 100
        else:
            self.percent = min(100.0 * finished / total, 100.0) if total else 0
        self.measured_rate = 0
        self.expected_end_at = False
        if self.state == "running" and self.running_since:
            seconds = max((now - self.running_since).total_seconds(), 1)
            self.measured_rate = max(finished - self.figures_before, 0) / seconds
            # Before anything has arrived, the pace that was asked for is all we know.
            pace = min(self.measured_rate or self.rate, self.rate)
            if total > finished:
                left = timedelta(seconds=(total - finished) / pace)
                self.expected_end_at = (now + left).replace(microsecond=0)

    def _count_html(self):
        """Return the result of the dry run as tables for people."""
        self.ensure_one()
        counts = self.counts
        states = {
            "delivered": self.env._("Delivered before"),
            "given_up": self.env._("Given up before"),
            "cancelled": self.env._("Cancelled before"),
            "unsent": self.env._("Never sent"),
        }
        endpoints = {str(endpoint.id): endpoint.name for endpoint in self.endpoint_ids}

        def title(name):
            known = EVENT_TYPES.get(name)
            return f"{known.title} ({name})" if known else name

        def table(heading, rows):
            if not rows:
                return Markup()
            return Markup(
                '<table class="table table-sm"><thead><tr><th>%s</th>'
                '<th class="text-end">%s</th></tr></thead><tbody>%s</tbody>'
                "</table>"
            ) % (
                heading,
                self.env._("Number"),
                Markup().join(
                    Markup('<tr><td>%s</td><td class="text-end">%s</td></tr>')
                    % (label, f"{number:,}")
                    for label, number in rows
                ),
            )

        def by_number(found, label):
            ordered = sorted(found.items(), key=lambda item: -item[1])
            return [(label(key), number) for key, number in ordered]

        parts = [
            table(
                self.env._("What happened"), by_number(counts.get("types", {}), title)
            ),
            table(
                self.env._("Earlier delivery"),
                by_number(counts.get("states", {}), lambda key: states[key]),
            ),
            table(
                self.env._("Send to"),
                by_number(
                    counts.get("endpoints", {}), lambda key: endpoints.get(key, key)
                ),
            ),
            table(
                self.env._("Documents from before the hub"),
                by_number(counts.get("documents", {}), title),
            ),
        ]
        if counts.get("first"):
            first, last = (
                fields.Datetime.context_timestamp(
                    self, fields.Datetime.from_string(counts[key])
                ).strftime("%Y-%m-%d %H:%M")
                for key in ("first", "last")
            )
            parts.append(
                Markup("<p>%s</p>")
                % self.env._("From %(first)s to %(last)s.", first=first, last=last)
            )
        if counts.get("sample"):
            parts.append(
                Markup("<p>%s</p>")
                % self.env._("For example: %s", ", ".join(counts["sample"]))
            )
        return Markup().join(parts)
