from . import finance_trace_step
from . import finance_endpoint
from . import finance_connector
from . import finance_endpoint_health
from . import finance_pulse
from . import finance_janitor
from . import finance_archive
from . import finance_retention
