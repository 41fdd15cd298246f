"""The user interfaces: the command line, its display, the server and the demo."""

import json
import sys

from durable_rlm import NOT_FOR_WINDOWS

if sys.platform == "win32":
    # Before any module is imported that Windows lacks.
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"error": {"type": "UsageError", "message": NOT_FOR_WINDOWS, "hint": ""}}) + "\n")
    else:
        sys.stderr.write(f"Error: {NOT_FOR_WINDOWS}\n")
    raise SystemExit(2)
