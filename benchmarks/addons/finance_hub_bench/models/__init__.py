from . import finance_bench
from . import finance_delivery
