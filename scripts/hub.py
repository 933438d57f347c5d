#!/usr/bin/env python3
"""The one developer and demo command of the Finance Integration Hub.

It stands alone (Python's standard library only), because it is what brings
everything else onto a fresh machine. ``hub.py --help`` lists the commands; the
Makefile has one target for each.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hubtools.cli import main

if __name__ == "__main__":
    sys.exit(main())
