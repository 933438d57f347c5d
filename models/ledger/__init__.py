from . import finance_transaction
from . import finance_transition
from . import finance_handler
from . import finance_handler_counterparty_upsert
from . import finance_handler_payment_captured
