"""Reads the cases of structured fields with http-sf, which knows nothing of Accord.

Usage: python structured_fields.py CASES

Each case of the JSON file has the lines of a field, which are a dictionary, and how RFC 9651 writes it again, or
nothing where it is to be refused.
"""

import json
import sys
from pathlib import Path

from http_sf import StructuredFieldError, parse, ser


def written(field: bytes) -> str | None:
    """The dictionary as http-sf writes it; nothing if it does not take it."""
    try:
        members = parse(field, tltype="dictionary")
    except StructuredFieldError:
        return None
    return ser(members) if members else ""


def main(path: str) -> None:
    cases = json.loads(Path(path).read_text())
    for case in cases:
        field = ", ".join(case["lines"])
        said = written(field.encode())
        if said != case["reads"]:
            sys.exit(f"{case['rule']}: {field!r} reads as {said!r}, not {case['reads']!r}")
    refused = sum(case["reads"] is None for case in cases)
    print(f"{len(cases)} fields read as the cases say, {refused} of them refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
