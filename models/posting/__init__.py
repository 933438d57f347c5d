from . import finance_hold_order
from . import account_move
from . import account_payment
from . import account_reconciling
from . import validate_account_move
from . import account_assistants
from . import res_partner
from . import finance_command
