"""Set-up, demo, test and packaging tools behind the Makefile.

One module per concern; ``settings`` holds every path, port and variable, so that
nothing else reads the environment. Everything here runs on the standard library,
except ``system`` (the helpers of the system tests), which runs inside the virtual
environment that ``provision`` makes.
"""
