from . import finance_connector
from . import finance_credential
from . import finance_endpoint
from . import finance_subscription
