from . import catalogue
from . import health
from . import inbound
