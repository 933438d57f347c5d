from . import finance_event
from . import finance_delivery
from . import finance_attempt
