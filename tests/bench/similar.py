"""Checks the hits that `similar` wrote against faiss, and compares the speed.

    pip install numpy faiss-cpu==1.15.*
    cargo bench -p tests --bench similar -- 10000000 2000 --out DIR
    python tests/bench/similar.py DIR [rounds]
"""

import statistics
import sys
import time
from pathlib import Path

import faiss
import numpy as np


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.uint32)


def radius_for(distance: int) -> int:
    """The radius with which faiss finds distances up to `distance`: its bound may be exclusive."""
    index = faiss.IndexBinaryFlat(256)
    codes = np.zeros((2, 32), np.uint8)
    for bit in range(distance):
        codes[0, bit // 8] |= 1 << (bit % 8)
        codes[1, bit // 8] |= 1 << (bit % 8)
    codes[1, distance // 8] |= 1 << (distance % 8)
    index.add(codes)
    for radius in (distance, distance + 1):
        _, _, ids = index.range_search(np.zeros((1, 32), np.uint8), radius)
        if list(ids) == [0]:
            return radius
    raise SystemExit("no radius of faiss means what is asked for")


def main() -> None:
    folder = Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    distance, threads, ours = (folder / "about.txt").read_text().split()
    distance, threads, ours = int(distance), int(threads), float(ours)
    codes = np.fromfile(folder / "codes.bin", np.uint8).reshape(-1, 32)
    queries = np.fromfile(folder / "queries.bin", np.uint8).reshape(-1, 32)
    hits = np.fromfile(folder / "hits.bin", "<u4").reshape(-1, 3).astype(np.int64)

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryFlat(256)
    index.add(codes)
    radius = radius_for(distance)
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        limits, distances, ids = index.range_search(queries, radius)
        rates.append(len(queries) / (time.perf_counter() - start))
    theirs = statistics.median(rates)

    asked = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    expected = np.stack([asked, ids.astype(np.int64), distances.astype(np.int64)], axis=1)
    order = lambda rows: rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    same = np.array_equal(order(expected), order(hits))
    right = np.array_equal(differing(codes[hits[:, 1]], queries[hits[:, 0]]), hits[:, 2])
    print(f"faiss        {faiss.__version__}, radius {radius} finds distances up to {distance}")
    print(f"hits         {len(expected)} by faiss, {len(hits)} by the index, identical: {same and right}")
    print(f"queries/s    {theirs:.1f} by faiss (median of {rounds}, {threads} threads), {ours:.0f} by the index")
    print(f"ratio        {ours / theirs:.0f}")
    if not (same and right):
        raise SystemExit("the hits differ")


if __name__ == "__main__":
    main()
