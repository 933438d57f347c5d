from odoo.tests import tagged

from .access_buttons import ButtonTests
from .access_companies import CompanyTests
from .access_rows import AccessCase
from .access_secrets import SecretTests


@tagged("post_install", "-at_install")
class TestAccessRules(ButtonTests, CompanyTests, SecretTests, AccessCase):
    """What every role may press, in which company, and what nobody may read."""

    # Odoo's loader takes only what stands in the class itself, unless told so.
    allow_inherited_tests_method = True
