from . import finance_message
from . import finance_message_duplicate
from . import finance_message_trying
from . import finance_command
from . import finance_refusal
from . import finance_connector
from . import finance_connector_usage
from . import ir_http
