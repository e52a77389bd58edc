"""Verifies golden consent records with pycose, which knows nothing of Accord.

Usage: python cose.py FOLDER

Every `.cbor` file of the folder must verify with the external AAD `accord/consent/v1` under the key that
its protected header names, and must not with any one bit flipped, nor with another AAD.
"""

import sys
from pathlib import Path

from pycose.headers import KID, Algorithm
from pycose.algorithms import EdDSA
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage, Sign1Message

DOMAIN = b"accord/consent/v1"


def verifies(record: bytes, domain: bytes) -> bool:
    """Whether pycose takes `record`; whatever it raises on the way means no."""
    try:
        message = CoseMessage.decode(record)
        if type(message) is not Sign1Message or message.phdr[Algorithm] is not EdDSA:
            return False
        message.key = OKPKey(crv=Ed25519, x=message.phdr[KID])
        message.external_aad = domain
        return message.verify_signature()
    except Exception:
        return False


def flipped(record: bytes):
    """`record` with each of its bits flipped, one at a time."""
    for bit in range(8 * len(record)):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def main(folder: str) -> None:
    records = sorted(Path(folder).glob("*.cbor"))
    flips = 0
    for path in records:
        record = path.read_bytes()
        if not verifies(record, DOMAIN):
            sys.exit(f"{path.name}: does not verify")
        if verifies(record, b"accord/update/v1"):
            sys.exit(f"{path.name}: verifies as another type of message")
        for bit, changed in flipped(record):
            if verifies(changed, DOMAIN):
                sys.exit(f"{path.name}: verifies with bit {bit} flipped")
            flips += 1
    if not records:
        sys.exit(f"{folder}: no records")
    print(f"{len(records)} records verify, none of {flips} with a flipped bit does")


if __name__ == "__main__":
    main(*sys.argv[1:])
