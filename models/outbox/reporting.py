"""What people hear of what was sent: exceptions opened and closed."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """What recorded results mean for people and for the endpoints' health.

    :ivar dead: (ticket, cause) of what was given up
    :ivar gone: endpoint id → cause, where the receiver said that it is no more
    :ivar solved: ids of exceptions that a delivery may have closed
    :ivar health: endpoint id → (whether the latest request arrived, latest failure)
    """

    dead: list[tuple[Any, str]] = field(default_factory=list)
    gone: dict[int, str] = field(default_factory=dict)
    solved: set[int] = field(default_factory=set)
    health: dict[int, tuple[bool, str | None]] = field(default_factory=dict)

    def success(self, ticket):
        error = self.health.get(ticket.endpoint_id, (True, None))[1]
        self.health[ticket.endpoint_id] = (True, error)
        if ticket.exception_id:
            self.solved.add(ticket.exception_id)

    def failure(self, ticket, decision, cause):
        if decision.counts_as_attempt:
            self.health[ticket.endpoint_id] = (False, cause)
        else:
            self.health.setdefault(ticket.endpoint_id, (False, None))
        if decision.kind == "dead":
            self.dead.append((ticket, cause))
        elif decision.kind == "gone":
            self.gone[ticket.endpoint_id] = cause

    def tell(self, env):
        """Open and resolve exceptions."""
        exceptions = env["finance.exception"]
        by_endpoint = defaultdict(list)
        for ticket, cause in self.dead:
            by_endpoint[ticket.endpoint_id].append((ticket, cause))
        for endpoint_id, tickets in by_endpoint.items():
            endpoint = env["finance.endpoint"].browse(endpoint_id)
            ticket, cause = tickets[-1]
            exception = exceptions._open(
                "T-DEADLETTER",
                company=endpoint.company_id,
                record=endpoint,
                connector=endpoint.connector_id,
                fingerprint=f"endpoint:{endpoint_id}:dead",
                summary=env._(
                    "%(endpoint)s does not take our events (last: %(label)s)",
                    endpoint=endpoint.name,
                    label=ticket.label,
                ),
                cause=cause,
                occurrences=sum(ticket.events for ticket, _cause in tickets),
            )
            batches = [ticket.batch_id for ticket, _c in tickets if ticket.batch_id]
            env["finance.batch"].browse(batches).write({"exception_id": exception.id})
            deliveries = env["finance.delivery"].browse(
                [ticket.delivery_id for ticket, _c in tickets if ticket.delivery_id]
            ) | env["finance.delivery"].search([("batch_id", "in", batches)])
            deliveries.write({"exception_id": exception.id})
            endpoint._announce("delivery_exhausted", cause, deliveries)
        for endpoint_id, cause in self.gone.items():
            endpoint = env["finance.endpoint"].browse(endpoint_id)
            endpoint._suspend(cause)
            exceptions._open(
                "T-GONE",
                company=endpoint.company_id,
                record=endpoint,
                connector=endpoint.connector_id,
                fingerprint=f"endpoint:{endpoint_id}:gone",
                summary=env._("%s is gone and was suspended", endpoint.name),
                cause=cause,
            )
        if self.solved:
            exceptions.browse(self.solved)._resolve_if_done(env._("Delivered"))
