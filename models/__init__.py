# Imported in the order of the way of the data.
from . import waking
from . import connector
from . import capture
from . import outbox
from . import inbox
from . import mapping
from . import ledger
from . import control
from . import insight

# Extends the exception desk, so it comes after it.
from .capture import finance_exception

# Extend the inbox, the ledger and the desk.
from .mapping import extensions
