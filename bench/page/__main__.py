"""`python -m bench.page make HOME` makes a large home; `measure HOME` says what its page takes (`make bench-page`)."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

from bench.page import make, measure

parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
commands = parser.add_subparsers(required=True, dest="command")
making = commands.add_parser("make", help="make a home with one large run: a quarter of an hour")
making.add_argument("home", type=Path)
making.add_argument("--small", action="store_true", help="300 calls in 12 turns, in seconds")
making.add_argument("--once", action="store_true", help="nothing, when the home is there")
for field in fields(make.Sizes):
    making.add_argument(f"--{field.name}", type=type(field.default), help=f"by default {field.default}")
measuring = commands.add_parser("measure", help="measure the page of such a home in Chromium")
measuring.add_argument("home", type=Path)
measuring.add_argument("--json", type=Path, metavar="FILE", help="where the results are written, too")
chosen = parser.parse_args()
if chosen.command == "measure":
    measure.main(chosen.home, chosen.json)
elif not (chosen.once and chosen.home.exists()):
    given = {field.name: value for field in fields(make.Sizes) if (value := getattr(chosen, field.name)) is not None}
    make.main(chosen.home, replace(make.SMALL if chosen.small else make.Sizes(), **given))
