from . import finance_event
from . import finance_delivery
from . import finance_feed
from . import finance_batch
from . import finance_attempt
from . import finance_endpoint_health
from . import finance_pulse
from . import finance_replay
