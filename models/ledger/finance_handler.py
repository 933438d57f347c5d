from odoo import models

from .. import constants
from .errors import CommandError, CommandWaits
from .subjects import document_key, find_subject


class FinanceHandler(models.AbstractModel):
    """Base of what applies one kind of command to the books.

    A handler is a model named ``finance.handler.<command>``; adding one is adding a
    file with a ``_handle(command, content)``: ``command`` is the ``finance.command``,
    whose result the handler sets, ``content`` the contract model that its data fits.
    It runs in the company of the command, inside a savepoint: raising
    :class:`CommandError` undoes what it did and hands the command to a person;
    returning ``MORE`` keeps it and has the handler called again, in a transaction of
    its own.
    """

    _name = "finance.handler"
    _description = "Finance Command Handler"

    def _check_same(self, earlier, content):
        """Refuse a command that contradicts an applied one of the same key.

        :raise CommandError: naming what differs
        """
        differing = [
            name
            for name in self._identity_fields()
            if getattr(earlier, name) != getattr(content, name)
        ]
        if differing:
            raise CommandError(
                "C-AMOUNT-INTEGRITY",
                self.env._(
                    "This was applied before with another %(fields)s. Ask the sender "
                    "which one is right; nothing was booked for this one.",
                    fields=", ".join(differing),
                ),
            )

    def _identity_fields(self):
        """Return the fields in which two commands of one key must agree."""
        return ()

    def _subject_of(self, command, content):
        """Return the record that another system decided on.

        :param content: of a contract with a ``subject``
        :raise CommandWaits: D-ORPHAN, until it is there
        """
        record = find_subject(
            self.env, command.company_id, content.subject
        ) or command._linked_subject(content.subject)
        if not record:
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "Nothing is known as “%s”. The decision waits for it.",
                    content.subject,
                ),
                key=document_key(content.subject),
                grace=constants.ORPHAN_GRACE,
            )
        return record
