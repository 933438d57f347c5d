from . import finance_mapping_term
from . import finance_mapping_domain
from . import finance_mapping
from . import finance_unmapped
from . import finance_reference
from . import finance_ownership
from . import finance_ownership_conflict
from . import finance_command
