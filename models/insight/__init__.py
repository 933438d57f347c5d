from . import finance_trace_step
