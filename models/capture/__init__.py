from . import finance_capture
from . import account_move
from . import account_payment
