from . import finance_exception
