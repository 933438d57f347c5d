#!/usr/bin/env python3
"""Measure the hub against its references, all in one run: ``make bench``.

The figures go to ``benchmarks/results/latest.json``.
"""

import argparse

from delivery import delivery_vs_job_per_event
from harness import Bench, machine, write

BENCHMARKS = {"delivery_vs_job_per_event": delivery_vs_job_per_event}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    about = machine()
    with Bench() as bench:
        figures = []
        for name in names:
            print(name)
            figures.append(BENCHMARKS[name](bench))
    write(figures, about)


if __name__ == "__main__":
    main()
