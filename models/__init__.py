# Imported in the order of the way of the data.
from . import waking
from . import connector
from . import capture
from . import outbox
from . import inbox
from . import ledger
from . import control
from . import insight

# Extends the exception desk, so it comes after it.
from .capture import finance_exception

# Follows what all the others do, so it comes last.
from . import audit
