# Of models that are defined after the room around is loaded.
from . import finance_command
from . import finance_exception
from . import finance_transaction
