"""What the tests that use a browser share."""

from contextlib import contextmanager

from odoo.tests import HttpCase

from ..models.outbox.dispatcher import Dispatcher
from .common import FinanceHubCommon

ACTION = "/odoo/action-finance_hub."


class TourCase(FinanceHubCommon, HttpCase):
    """A server, a browser, and users who can log in."""

    def setUp(self):
        super().setUp()
        for user in self.users.values():
            # Tours begin at a log-in where both are equal.
            user.password = user.login

    @contextmanager
    def enter_registry_test_mode(self):
        """Nothing to enter: a test with a server is in it all along."""
        self.env.flush_all()
        yield
        self.env.invalidate_all()

    def dispatch(self):
        self.end_transaction()
        with self.enter_registry_test_mode():
            return Dispatcher(self.env.registry, threads=False).run()

    def walk(self, tour, group, action=None, url=None, **options):
        """Have a user walk a tour, and forget what was known before."""
        self.end_transaction()
        self.start_tour(
            url or f"{ACTION}{action}", tour, login=self.users[group].login, **options
        )
        self.env.invalidate_all()
