"""What keeps a command waiting for somebody who maintains codes."""

from ..ledger.errors import CommandWaits


def mapping_key(connector, domain, code):
    """Return the key by which commands wait for a mapping.

    :param connector: the ``finance.connector`` whose code it is
    :param str domain: name of the ``finance.mapping.domain``
    :param str code: as the sender wrote it
    """
    return f"mapping:{connector.id}:{domain}:{code}"


class Unmapped(CommandWaits):
    """A code without a counterpart in Odoo.

    However many commands wait for it, a person is told once; see ``finance.unmapped``.

    :ivar connector: the ``finance.connector`` whose code it is
    :ivar domain: name of the ``finance.mapping.domain``
    :ivar external_code: as the sender wrote it
    :ivar date: for which a mapping was looked for
    """

    def __init__(self, message, connector, domain, code, date):
        super().__init__("D-UNMAPPED", message, mapping_key(connector, domain, code))
        self.connector = connector
        self.domain = domain
        self.external_code = code
        self.date = date

    def report(self, command):
        """Count the code as unmapped; one exception for all that wait for it."""
        command.env["finance.unmapped"]._report(command, self)
