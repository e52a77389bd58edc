#!/usr/bin/env python3
"""Makes the vectors of signed-note/, tlog-witness/, tlog-proof/ and map/ from the specifications alone,
without the code that they test: run it in this directory. Needs the `cryptography` package."""
import base64, hashlib, json, os
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

sha = lambda b: hashlib.sha256(b).digest()
b64 = lambda b: base64.b64encode(b).decode()

# RFC 6962, as it is defined: recursive.
def mth(leaves):
    if not leaves: return sha(b"")
    if len(leaves) == 1: return sha(b"\0" + leaves[0])
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))

def path(m, leaves):
    if len(leaves) == 1: return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k: return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]

def subproof(m, leaves, whole):
    if m == len(leaves): return [] if whole else [mth(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m <= k: return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]

# C2SP signed-note and tlog-cosignature.
class Key:
    def __init__(self, name, kind, seed):
        self.name, self.kind, self.seed = name, kind, seed
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = sha(name.encode() + b"\n" + bytes([kind]) + self.public)[:4]
    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"
    def skey(self):
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.seed)}"
    def line(self, signature):
        return f"— {self.name} {b64(self.id + signature)}\n"
    def sign(self, text):
        return self.line(self.private.sign(text.encode()))
    def cosign(self, text, time):
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        return self.line(time.to_bytes(8, "big") + self.private.sign(message))

log = Key("log.accord.example/2026", 1, bytes([1]) * 32)
w = [Key(f"witness.example/w{i}", 4, bytes([10 + i]) * 32) for i in range(4)]
leaves = [f"record {i}".encode() * (i + 1) for i in range(1000)]
def checkpoint(size): return f"{log.name}\n{size}\n{b64(mth(leaves[:size]))}\n"

# A text with an empty line and letters beyond ASCII, signed by one whose key is given and one whose is not.
def note_vectors():
    os.makedirs("signed-note", exist_ok=True)
    text = "Naïve reader,\nlisten: 一 二 三.\n\nThree lines, and an empty one.\n"
    known, unknown = Key("signer.example/a", 1, bytes([20]) * 32), Key("signer.example/b", 1, bytes([21]) * 32)
    open("signed-note/note", "w").write(text + "\n" + unknown.sign(text) + known.sign(text))
    open("signed-note/vkey", "w").write(known.vkey() + "\n")

# C2SP tlog-witness: a log with two keys of one name asks, and three keys under two names answer.
def witness_vectors():
    os.makedirs("tlog-witness", exist_ok=True)
    old, size = 617, 1000
    newer, again = Key(log.name, 1, bytes([2]) * 32), Key(w[0].name, 4, bytes([30]) * 32)
    text = checkpoint(size)
    proof = "".join(b64(h) + "\n" for h in subproof(old, leaves[:size], True))
    request = f"old {old}\n{proof}\n{text}\n{log.sign(text)}{newer.sign(text)}"
    times = [1790000000 + 10 * i for i in range(3)]
    response = "".join(k.cosign(text, t) for k, t in zip([w[0], again, w[1]], times))
    latest = checkpoint(old) + "\n" + log.sign(checkpoint(old))
    for name, content in [("request", request), ("response", response), ("latest", latest)]:
        open("tlog-witness/" + name, "w").write(content)

def proof_vectors():
    os.makedirs("tlog-proof", exist_ok=True)
    text = checkpoint(len(leaves))
    times = [1790000000 + 10 * i for i in range(3)]
    note = text + "\n" + log.sign(text) + "".join(k.cosign(text, t) for k, t in zip(w, times))
    index = 617
    proof = f"c2sp.org/tlog-proof@v1\nextra {b64(leaves[index][:9])}\nindex {index}\n"
    proof += "".join(b64(h) + "\n" for h in path(index, leaves)) + "\n" + note
    policy = "# The first three witnesses have cosigned, the fourth has not.\n"
    policy += f"log {log.vkey()} https://log.accord.example/2026\n"
    policy += "".join(f"witness w{i} {k.vkey()}\n" for i, k in enumerate(w))
    three, four = policy + "group q 3 w0 w1 w2 w3\nquorum q\n", policy + "group q all w0 w1 w2 w3\nquorum q\n"
    for name, content in [("record-617.tlog-proof", proof), ("three-of-four.policy", three),
                          ("all-of-four.policy", four), ("checkpoint", note),
                          ("skeys", "".join(k.skey() + "\n" for k in [log] + w))]:
        open("tlog-proof/" + name, "w").write(content)

# The map, by the rules at the head of protocol/src/log/map.rs: recursive over sorted entries.
def position(key): return sha(b"accord/map/position/v1\n" + key)
def bit(p, b): return p[b // 8] >> 7 - b % 8 & 1
def map_root(leaves):
    if not leaves: return sha(b"accord/map/empty/v1\n")
    if len(leaves) == 1: return sha(b"accord/map/leaf/v1\n" + leaves[0][0] + leaves[0][1])
    b = next(b for b in range(256) if bit(leaves[0][0], b) != bit(leaves[-1][0], b))
    sides = [[l for l in leaves if bit(l[0], b) == side] for side in (0, 1)]
    return sha(b"accord/map/branch/v1\n" + bytes([b]) + map_root(sides[0]) + map_root(sides[1]))

def map_proof(key, leaves):
    p, steps = position(key), b""
    while len(leaves) > 1:
        b = next(b for b in range(256) if bit(leaves[0][0], b) != bit(leaves[-1][0], b))
        steps += bytes([b]) + map_root([l for l in leaves if bit(l[0], b) != bit(p, b)])
        leaves = [l for l in leaves if bit(l[0], b) == bit(p, b)]
    return b"".join(leaves[0]) + steps if leaves else b""

def map_vectors():
    os.makedirs("map", exist_ok=True)
    cases = []
    for size in [0, 1, 2, 3, 10, 300]:
        entries = [(sha(b"key %d" % i), sha(b"value %d" % i)) for i in range(size)]
        leaves = sorted((position(k), v) for k, v in entries)
        asked = [sha(b"key %d" % i) for i in (0, 1, size // 2, size - 1, size, size + 1) if i >= 0]
        values = dict(entries)
        cases.append({"size": size, "root": map_root(leaves).hex(), "proofs": [
            {"key": k.hex(), "value": values[k].hex() if k in values else None,
             "proof": map_proof(k, leaves).hex()} for k in dict.fromkeys(asked)]})
    json.dump(cases, open("map/map.json", "w"), indent=1)
    open("map/map.json", "a").write("\n")

note_vectors()
witness_vectors()
proof_vectors()
map_vectors()
