# Imported in the order of the way of the data.
from . import waking
from . import about
from . import remembered
from . import review
from . import connector
from . import capture
from . import outbox
from . import inbox
from . import mapping
from . import ledger
from . import approval
from . import hold
from . import posting
from . import control
from . import privacy
from . import insight
from . import flow

# Extend what is defined by later stages, so they come after them.
from .capture import finance_exception

# Extend the inbox, the ledger and the desk.
from .mapping import extensions

# Can be approved, so it comes after the approvals.
from .ledger import finance_posting_request
from .capture import finance_payout

# Follows what all the others do, so it comes last.
from . import audit

# Follows who does what, audited, and asks the trail.
from . import duties
