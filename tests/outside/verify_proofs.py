"""Runs docs/verify.py over every proof of a folder, and over each with bits flipped.

Usage: python verify_proofs.py FOLDER

A proof must be taken under `trust.policy`, and not with any one bit flipped. Where the file's sum is
made anew after the flip, some bits of every few bytes are tried: then a proof may still hold of another
work than before, and of nothing else. Proofs against a log must not hold without a policy.
"""

import sys
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))
import verify

# Of a sum made anew, which takes all checks and not only the first.
MENDED = 150


def holds(data, policy):
    """What the proof shows, or nothing."""
    try:
        return verify.verify(data, policy)
    except verify.Bad:
        return None


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def mended(data):
    """The file with its sum made anew, if it is a file."""
    try:
        file = verify.decode(data)
        file["sum"] = sha256(b"\0" + file["claim"].encode() + b"\n" + file["body"]).digest()
        return verify.encode(file)
    except (verify.Bad, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return data


def main(folder):
    policy = (Path(folder) / "trust.policy").read_bytes()
    paths = sorted(Path(folder).glob("*.proof"))
    flips = 0
    for path in paths:
        data = path.read_bytes()
        shown = holds(data, policy)
        if shown is None:
            verify.verify(data, policy)
        if not path.name.startswith(("bound", "member", "unused", "excluded")) and holds(data, None):
            sys.exit(f"{path.name}: holds without a policy")
        for bit in range(8 * len(data)):
            if holds(flipped(data, bit), policy) is not None:
                sys.exit(f"{path.name}: holds with bit {bit} flipped")
            flips += 1
        for bit in range(0, 8 * len(data), max(1, 8 * len(data) // MENDED) | 1):
            changed = mended(flipped(data, bit))
            other = None if changed == data else holds(changed, policy)
            if other is not None and (
                other[0].get("content") == shown[0].get("content") or len(other[1]) > len(shown[1])
            ):
                sys.exit(f"{path.name}: holds with bit {bit} flipped and the sum made anew")
            flips += 1
    print(f"{len(paths)} proofs hold, none of {flips} with a flipped bit does")


if __name__ == "__main__":
    main(*sys.argv[1:])
