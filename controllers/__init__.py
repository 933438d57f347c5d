from . import archive
from . import audit
from . import catalogue
from . import feed
from . import health
from . import inbound
