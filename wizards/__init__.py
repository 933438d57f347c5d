from . import finance_correct_wizard
from . import finance_map_wizard
from . import finance_party_wizard
from . import finance_decide_wizard
from . import finance_ping_wizard
from . import finance_reason_wizard
from . import finance_outcome_wizard
from . import finance_payout_wizard
