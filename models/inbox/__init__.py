from . import finance_message
from . import finance_message_duplicate
from . import finance_message_trying
from . import finance_command
from . import ir_http
