"""All of it, one after the other: `make bench-evidence`, some minutes. The first argument: MB of the searched text."""

from bench.evidence import checking, coverage, places, quotations, search

for part in (quotations, checking, places, coverage, search):
    print(f"\n{part.__name__.rpartition('.')[2]}", flush=True)
    part.main()
