"""`python -m benchmarks [ROOM…] [--quick]`: take the figures, print each beside its limit, exit 1 if one is missed."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.measure import Figure

ROOMS = ("ingest", "scoring", "tree", "cycle")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all, if none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data: to see that it works, not to quote")
    options = parser.parse_args()
    unknown = [room for room in options.rooms if room not in ROOMS]
    if unknown:
        parser.error(f"no room {unknown[0]!r}; there are {', '.join(ROOMS)}")
    missed = 0
    for room in options.rooms or ROOMS:
        figure: Figure
        for figure in importlib.import_module(f"benchmarks.{room}").figures(options.quick):
            mark = "" if figure.kept else "MISSED"
            print(f"{room:<9} {figure.what:<72} {figure.value:>10.3g} {figure.unit:<9} {figure.limit:<14} {mark}", flush=True)
            missed += not figure.kept
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
