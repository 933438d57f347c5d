"""Extensions of models that are defined after this room is loaded."""

from . import finance_command
from . import finance_exception
from . import finance_transaction
