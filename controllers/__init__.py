from . import archive
from . import catalogue
from . import health
from . import inbound
