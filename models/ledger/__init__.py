from . import finance_transaction
from . import finance_transition
from . import finance_handler
from . import finance_handler_payment_captured
from . import finance_exposure
from . import finance_handler_credit_limit_update
from . import finance_handler_exposure_update
