from . import finance_reviewed
from . import finance_versioned
from . import finance_versioned_part
