"""Verifies Accord's proof files with none of Accord's code: Python 3.9 and the package `cryptography`.

Usage: python verify.py PROOF [--policy FILE] [--record ID] [--run ID] [--file FILE] [--content ID]

`--policy` (C2SP tlog-policy) says which log and witnesses you believe; the others say what the proof must be
about. What it shows is printed; exit code 1 if it shows nothing. Formats and rules are in proofs.md.
"""
import argparse, base64, sys
from hashlib import sha256
from pathlib import Path
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
class Bad(Exception):
    """The proof does not hold."""
def need(holds, why):
    if not holds:
        raise Bad(why)
# BLAKE3, from its specification: the hash of one input, 32 bytes.
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
LANES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
START, END, PARENT, ROOT, MASK = 1, 2, 4, 8, 0xFFFFFFFF
def compress(chain, words, counter, length, flags):
    v = chain + IV[:4] + [counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for at, (a, b, c, d) in enumerate(LANES):
            for word, left, right in ((words[2 * at], 16, 12), (words[2 * at + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                t = v[d] ^ v[a]
                v[d] = (t >> left | t << 32 - left) & MASK
                v[c] = (v[c] + v[d]) & MASK
                t = v[b] ^ v[c]
                v[b] = (t >> right | t << 32 - right) & MASK
        words = [words[at] for at in ORDER]
    return [v[at] ^ v[at + 8] for at in range(8)]
def subtree(data, first, flags):
    if len(data) > 1024:
        left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
        words = subtree(data[:left], first, 0) + subtree(data[left:], first + left // 1024, 0)
        return compress(IV, words, 0, 64, PARENT | flags)
    chain, starts = IV, range(0, max(len(data), 1), 64)
    for at in starts:
        block = data[at:at + 64]
        words = [int.from_bytes(block[n:n + 4], "little") for n in range(0, 64, 4)]
        ends = END | flags if at == starts[-1] else 0
        chain = compress(chain, words, first, len(block), (START if at == 0 else 0) | ends)
    return chain
def blake3(data):
    return b"".join(word.to_bytes(4, "little") for word in subtree(bytes(data), 0, ROOT))
# CBOR, canonical: shortest heads, definite lengths, maps in the order given.
def head(major, number):
    for size, mark in ((0, number), (1, 24), (2, 25), (4, 26), (8, 27)):
        if number < (24 if size == 0 else 1 << 8 * size):
            return bytes([major << 5 | mark]) + (number.to_bytes(size, "big") if size else b"")
def encode(value):
    if value is None or value is False or value is True:
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode()
        return head(2 if data is value else 3, len(data)) + data
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    return head(5, len(value)) + b"".join(encode(key) + encode(value[key]) for key in value)
def item(data, at):
    major, low = data[at] >> 5, data[at] & 31
    if major == 7:
        return {20: False, 21: True, 22: None}[low], at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    number, at = int.from_bytes(data[at + 1:at + 1 + size], "big") if size else low, at + 1 + size
    if major < 2:
        return (number if major == 0 else -1 - number), at
    if major < 4:
        part, at = data[at:at + number], at + number
        return (part if major == 2 else part.decode()), at
    many = []
    for _ in range(number * (major - 3)):
        one, at = item(data, at)
        many.append(one)
    return (many if major == 4 else dict(zip(many[::2], many[1::2]))), at
def decode(data):
    value, end = item(data, 0)
    need(end == len(data) and encode(value) == data, "not the canonical encoding")
    return value
def fields(value, *names):
    need(isinstance(value, dict) and list(value) == list(names), f"not a map of {', '.join(names)}")
    return value.values()
def hash32(value):
    need(isinstance(value, bytes) and len(value) == 32, "not 32 bytes")
    return value
def opened(envelope, domain):
    """Signer, payload and id of a COSE_Sign1 envelope (RFC 9052) in the one form that is used."""
    fixed = envelope[:10] + envelope[42:43] + envelope[-66:-64]
    need(fixed == bytes.fromhex("d2845826a20127045820 a0 5840"), "not a signed envelope")
    key, payload = envelope[10:42], decode(envelope[43:-66])
    message = encode(["Signature1", envelope[4:42], domain, payload])
    Ed25519PublicKey.from_public_bytes(key).verify(envelope[-64:], message)
    return key, decode(payload), blake3(envelope)
def path_root(node, leaf, index, count, path):
    """The root of a tree of RFC 6962, section 2.1, from a leaf's hash and its path."""
    need(type(index) is type(count) is int and 0 <= index < count, "a leaf outside its tree")
    at, last, value = index, count - 1, leaf
    for sibling in map(hash32, path):
        need(last > 0, "a path that is too long")
        if at & 1 or at == last:
            value = node(sibling, value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            value = node(value, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0, "a path that is too short")
    return value
def blake3_root(leaf, *where):
    return path_root(lambda l, r: blake3(b"\1" + l + r), blake3(b"\0" + leaf), *where)
# Logs: C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy.
def unbase64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 with spare bits")
    return data
def vkey(text, kind):
    name, key_id, data = text.split("+", 2)
    found = sha256(name.encode() + b"\n" + unbase64(data)).digest()[:4]
    need(found.hex() == key_id and unbase64(data)[0] == kind, f"{name}: not a key for this")
    return name, found, unbase64(data)[1:]
def read_policy(policy):
    need(policy is not None, "a proof against a log needs --policy")
    keys, groups, quorum = [], {}, None
    for items in filter(None, (line.split() for line in policy.decode().splitlines())):
        if items[0] == "log":
            keys.append((1, None, *vkey(items[1], 1)))
        elif items[0] == "witness":
            keys.append((4, items[1], *vkey(items[2], 4)))
        elif items[0] == "group":
            most = {"all": len(items) - 3, "any": 1}
            groups[items[1]] = (int(most.get(items[2], items[2])), items[3:])
        elif items[0] == "quorum":
            quorum = items[1]
        else:
            need(items[0][0] == "#", "a policy line of no known kind")
    need(quorum is not None, "a policy without a quorum")
    return keys, groups, quorum
def trusted(note, policy):
    keys, groups, quorum = read_policy(policy)
    text, gap, lines = note.decode().rpartition("\n\n")
    origin, size, root, *more = text.split("\n")
    need(gap and lines[-1:] == "\n" and str(int(size)) == size, "not a checkpoint")
    has_log, times = False, {}
    for line in lines[:-1].split("\n"):
        dash, name, data = line.split(" ")
        data = unbase64(data)
        found = [key for key in keys if key[2:4] == (name, data[:4]) and (key[1] or name == origin)]
        need(dash == "\u2014" and len(found) == 1, f"a signature by {name}, whom the policy lacks")
        kind, alias, _, _, key = found[0]
        message, signature = f"{text}\n".encode(), data[4:]
        if kind == 4:
            times[alias] = int.from_bytes(signature[:8], "big")
            message, signature = b"cosignature/v1\ntime %d\n" % times[alias] + message, signature[8:]
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        has_log = has_log or kind == 1
    def enough(name):
        most, members = groups.get(name, (1, []))
        return name in times or name in groups and sum(map(enough, members)) >= most
    need(has_log, "the log has not signed")
    need(quorum == "none" or enough(quorum), "the witnesses that cosigned are no quorum")
    said = ", ".join(f"{name} at {time}" for name, time in times.items()) or "no witness"
    return int(size), unbase64(root), more, f"log {origin} of {size} entries, cosigned by {said}"
# The four claims.
def check_record(body, policy):
    record, log = fields(body, "record", "log")
    signer, payload, record_id = opened(record, b"accord/consent/v1")
    author, feed, seq, _, kind, *_ = fields(payload, *"author feed seq prev kind payload remark".split())
    lines, _, note = log.partition(b"\n\n")
    first, index, *hashes = lines.decode().split("\n")
    need(first == "c2sp.org/tlog-proof@v1" and index == f"index {int(index[6:])}", "not a tlog-proof")
    size, root, _, said = trusted(note, policy)
    leaf, path = sha256(b"\0" + record).digest(), [unbase64(text) for text in hashes]
    node = lambda l, r: sha256(b"\1" + l + r).digest()
    need(path_root(node, leaf, int(index[6:]), size, path) == root, "the record is not in the log")
    by = author.hex() + ("" if signer == author else f", signed with the key {signer.hex()}")
    said = f"record {record_id.hex()} ({kind} {seq} of feed {feed} of {by}) is {index} of {said}"
    return {"record": record_id}, [said]
def check_absent(body, policy):
    subject, proof, note = fields(body, "subject", "proof", "checkpoint")
    kind, value = decode(subject)
    _, _, more, said = trusted(note, policy)
    stated = [line[14:] for line in more if line.startswith("accord/map/v1 ")]
    need(len(stated) == 1, "the checkpoint states no map")
    def mapped(name, *parts):
        return sha256(b"accord/map/" + name + b"/v1\n" + b"".join(parts)).digest()
    position = mapped(b"position", sha256(b"\0accord/map/subject/v1\n" + subject).digest())
    node = mapped(b"empty")
    if proof:
        need(len(proof) >= 64 and (len(proof) - 64) % 33 == 0, "a map's proof of a wrong length")
        leaf, steps = proof[:32], [proof[at:at + 33] for at in range(64, len(proof), 33)]
        need(all(a[0] < b[0] for a, b in zip(steps, steps[1:])), "a map's proof out of order")
        need(leaf != position, "somebody has spoken of this subject")
        node = mapped(b"leaf", leaf, proof[32:64])
        for step in reversed(steps):
            bits = [place[step[0] // 8] >> 7 - step[0] % 8 & 1 for place in (leaf, position)]
            need(bits[0] == bits[1], "a map's proof of another key")
            node = mapped(b"branch", step[:1], *((step[1:], node) if bits[0] else (node, step[1:])))
    need(node == unbase64(stated[0]), "the map's proof does not lead to its root")
    return {"content": value}, [f"no statement about {kind} {value.hex()} is in {said}"]
def check_member(body, _):
    record, collection, content, index, path = fields(body, *"record collection content index path".split())
    signer, payload, record_id = opened(record, b"accord/consent/v1")
    need(payload["kind"] == "statement" and len(collection) == 72, "not a statement about a collection")
    named = ["collection", collection] in decode(payload["payload"])["subjects"]
    found = blake3_root(hash32(content), index, int.from_bytes(collection[32:40], "big"), path)
    need(named and found == collection[:32], "the work is not in a collection that the record names")
    by = f"of {payload['author'].hex()}, signed with the key {signer.hex()},"
    said = f"record {record_id.hex()} {by} speaks of a collection that {content.hex()} is in"
    return {"record": record_id, "content": content}, [said]
def certified(certificate, run_id, stewards):
    agreed, attempt, votes = fields(decode(certificate), "record", "attempt", "precommits")
    votes = [tuple(fields(vote, "steward", "signature")) for vote in votes]
    need(len(votes) * 3 > len(stewards) * 2 and agreed["run"] == run_id, "no quorum of this run")
    need(all(a[0] < b[0] for a, b in zip(votes, votes[1:])), "votes out of order")
    vote = encode({"run": run_id, "round": agreed["round"], "attempt": attempt, "phase": "precommit",
                   "record": blake3(encode(agreed))})
    for key, signature in votes:
        need(key in stewards and len(signature) == 64, "a vote by a stranger")
        opened(bytes.fromhex("d2845826a20127045820") + key + b"\xa0" + encode(vote) + b"\x58\x40" + signature,
               b"accord/vote/v1")
    return agreed, len(votes)
def check_round(body, _):
    spec, handovers, certificate, bound, data = fields(body, *"spec handovers certificate bound data".split())
    _, run, run_id = opened(spec, b"accord/run/v1")
    stewards, before = set(run["stewards"]), 0
    for handover in handovers:
        agreed, _ = certified(handover, run_id, stewards)
        need(before < agreed["round"] < decode(certificate)["record"]["round"], "handovers out of order")
        before = agreed["round"]
        for what, key in (list(change["what"].items())[0] for change in agreed["parts"]["changes"]):
            if what in ("appoint", "dismiss"):
                need((key in stewards) == (what == "dismiss"), "a handover that does not fit")
                stewards ^= {key}
    agreed, votes = certified(certificate, run_id, stewards)
    said = [f"run {run_id.hex()} ({run['name']}), round {agreed['round']}: certified by {votes} of "
            f"{len(stewards)} stewards"]
    need(bound or data, "the proof shows neither a record nor a work")
    record = check_bound(bound, agreed["frontier"], said) if bound is not None else b""
    content = check_data(data, agreed, said) if data is not None else b""
    return {"run": run_id, "record": record, "content": content}, said
def check_bound(bound, frontier_id, said):
    frontier, ends, chain = fields(bound, "frontier", "ends", "chain")
    need(blake3(frontier) == frontier_id, "not the frontier that the round bound")
    records = [opened(envelope, b"accord/consent/v1")[1:] for envelope in chain]
    for (before, before_id), (after, _) in zip(records, records[1:]):
        place = [after[name] for name in ("author", "feed", "seq", "prev")]
        need(place == [before["author"], before["feed"], before["seq"] + 1, before_id], "no chain")
    end, end_id = records[-1]
    feed, heads = {"author": end["author"], "feed": end["feed"]}, decode(frontier)["heads"]
    (top,) = [top for top in heads if top["feed"] == feed]
    forked = blake3(b"accord/forked-head/v1\n" + b"".join(map(hash32, ends)))
    holds = len(ends) > 1 and end_id in ends and top["head"] == forked and end["seq"] <= top["seq"]
    need(holds if ends else (top["head"], top["seq"]) == (end_id, end["seq"]), "no chain to the head")
    said.append(f"it bound a ledger that has record {records[0][1].hex()}: every update from the next "
                "round on must have been decided with it")
    return records[0][1]
def check_data(proof, agreed, said):
    envelope, content, unused, excluded = fields(proof, "commit", "content", "unused", "excluded")
    trainer, commit, commit_id = opened(envelope, b"accord/update/v1")
    accepted = commit_id in [entry["commit"] for entry in agreed["accepted"]]
    need(accepted or commit_id in [it["commit"] for it in agreed["rejected"]], "a commit not named")
    late = agreed["round"] - commit["round"]
    need(commit["run"] == agreed["run"] and late in (0, 1), "another round's")
    data, (left, right) = commit["data"], fields(unused, "left", "right")
    for side in [side for side in (left, right) if side is not None]:
        index, leaf, path = fields(side, "index", "content", "path")
        found = blake3_root(hash32(leaf), index, data["used"], path)
        need(found == data["used_root"], "a neighbour is not among the used works")
    need(not left or left["content"] < hash32(content), "not between its neighbours")
    need(not right or hash32(content) < right["content"], "not between its neighbours")
    before, after = left["index"] + 1 if left else 0, right["index"] if right else data["used"]
    need((left or right) and before == after, "its neighbours are not next to each other")
    said.append(f"its {'accepted' if accepted else 'rejected'} update by {trainer.hex()} says that "
                f"{content.hex()} was not among the {data['used']} works used")
    if excluded is not None:
        index, record, path = fields(excluded, "index", "record", "path")
        need(record != bytes(32), "a record without an id")
        found = blake3_root(content + hash32(record or bytes(32)), index, data["excluded"], path)
        need(found == data["excluded_root"], "the work is not among those left out")
        said.append("and left out because " + (f"of {record.hex()}" if record else "nobody allowed it"))
    return content
def verify(data, policy=None):
    """What a proof file shows: a map of ids, and sentences. Raises `Bad` if it shows nothing."""
    checks = dict(record=check_record, absent=check_absent, member=check_member, round=check_round)
    try:
        version, claim, body, total = fields(decode(data), "version", "claim", "body", "sum")
        need(version == "accord/proof/v1" and claim in checks, "not a proof of a known kind")
        need(total == sha256(b"\0" + claim.encode() + b"\n" + body).digest(), "the file is damaged")
        return checks[claim](decode(body), policy)
    except (InvalidSignature, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Bad(f"malformed, or wrongly signed ({type(error).__name__}: {error})") from None
def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("proof", "--policy", "--record", "--run", "--file", "--content"):
        parser.add_argument(name)
    given = parser.parse_args()
    try:
        policy = Path(given.policy).read_bytes() if given.policy else None
        claims, said = verify(Path(given.proof).read_bytes(), policy)
        given.content = blake3(Path(given.file).read_bytes()).hex() if given.file else given.content
        for name in ("record", "run", "content"):
            found = claims.get(name, b"").hex()
            need(getattr(given, name) in (None, found), f"a proof of another {name}: {found}")
    except Bad as error:
        sys.exit(f"NOT PROVED: {error}")
    print("\n".join(said) + "\nWhat the weights have seen beside this, no proof can show.")
if __name__ == "__main__":
    main()
