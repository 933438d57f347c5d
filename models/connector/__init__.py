from . import finance_scope
from . import finance_connector
from . import finance_credential
from . import finance_endpoint
from . import finance_endpoint_feed
from . import finance_client
from . import finance_client_usage
from . import finance_subscription
