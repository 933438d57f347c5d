from . import test_capture
from . import test_delivery
from . import test_inbound
from . import test_commands
from . import test_exceptions
from . import test_connector
from . import test_access
from . import test_trace
