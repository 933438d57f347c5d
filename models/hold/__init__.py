from . import finance_hold
from . import finance_hold_release
from . import finance_hold_verdict
from . import finance_hold_policy
from . import finance_hold_mark
from . import finance_holdable
from . import finance_command
