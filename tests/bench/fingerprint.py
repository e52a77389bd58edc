#!/usr/bin/env python3
"""Pictures a second of Python's pdqhash with decoding, beside those of fingerprint.rs.

Usage: python3 tests/bench/fingerprint.py [FOLDER] [RUNS]

Without a folder, the pictures that fingerprint.rs makes are used. Each run measures ours, then
pdqhash's, both on one core and on the same files, so that what else the machine does meets both;
medians of the runs are printed. Needs pdqhash, Pillow, numpy and opencv-python-headless.
"""

import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import numpy
import pdqhash
from PIL import Image

BENCH = ["cargo", "bench", "-q", "-p", "tests", "--bench", "fingerprint", "--"]


def by_pillow(data):
    pdqhash.compute(numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def by_opencv(data):
    picture = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR)
    pdqhash.compute(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def rate(function, files):
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        for data in files:
            function(data)
        rates.append(len(files) / (time.perf_counter() - start))
    return statistics.median(rates)


def ours(folder):
    text = subprocess.run(BENCH + [folder], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"^1 threads: (\d+)", text, re.M)[1])


def main():
    cv2.setNumThreads(1)
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if not os.listdir(folder):
        subprocess.run(BENCH + ["--write", folder], check=True)
    files = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            files.append(file.read())
    rows = [(ours(folder), rate(by_pillow, files), rate(by_opencv, files)) for _ in range(runs)]
    rate_of = [statistics.median(row[at] for row in rows) for at in range(3)]
    print(f"ours, 8 orientations and ISCC: {rate_of[0]:.0f} pictures/s on one core")
    for at, decoder in ((1, "Pillow"), (2, "OpenCV")):
        ratio = statistics.median(row[0] / row[at] for row in rows)
        print(f"pdqhash with {decoder}, 1 orientation: {rate_of[at]:.0f}, ours is {ratio:.1f} times as fast")



if __name__ == "__main__":
    main()
