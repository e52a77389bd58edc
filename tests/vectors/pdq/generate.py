#!/usr/bin/env python3
"""Draws the pictures of this folder and prints what the reference code says of them: run it in this
directory. Needs pillow 13.0.0, pdqhash 0.2.8 (the reference's C++ code), iscc-core 1.5.0, numpy."""
import json
import iscc_core, numpy, pdqhash
from PIL import Image, ImageDraw, ImageFilter, ImageOps

def noise(rng, side, cells):
    grid = rng.integers(0, 256, (cells, cells, 3), dtype=numpy.uint8)
    return Image.fromarray(grid).resize((side, side), Image.BICUBIC)

def landscape(seed, side=512):
    """Hills, a sun, towers and a river, with a light grain: something for every frequency."""
    rng = numpy.random.default_rng(seed)
    picture = Image.blend(noise(rng, side, 5), noise(rng, side, 23), 0.35)
    draw = ImageDraw.Draw(picture)
    x, y, r = (int(v) for v in rng.integers(side // 8, side // 2, 3))
    draw.ellipse([x, y // 2, x + r // 2, y // 2 + r // 2], fill=tuple(int(v) for v in rng.integers(180, 256, 3)))
    for layer in range(4):
        base, height = side * (3 + layer) // 8, side // (5 + layer)
        phase, pitch = rng.uniform(0, 6), rng.uniform(1.5, 5)
        line = [(i, base + height * numpy.sin(phase + pitch * i / side * 3.1) / 2) for i in range(side + 1)]
        colour = tuple(int(v) for v in rng.integers(10, 200, 3))
        draw.polygon(line + [(side, side), (0, side)], fill=colour)
    for _ in range(9):
        left, top = (int(v) for v in rng.integers(0, side * 7 // 8, 2))
        width, height = (int(v) for v in rng.integers(side // 40, side // 6, 2))
        draw.rectangle([left, top, left + width, top + height], fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    grain = rng.normal(0, 6, (side, side, 3))
    return Image.fromarray(numpy.clip(numpy.asarray(picture.filter(ImageFilter.GaussianBlur(1))) + grain, 0, 255).astype("uint8"))

def normalised(path):
    """As iscc-sdk's image_normalize: upright, on white, grey, 32x32 by bicubic means."""
    picture = ImageOps.exif_transpose(Image.open(path))
    return picture.convert("L").resize((32, 32), Image.BICUBIC)

first, second = landscape(7), landscape(11, 384)
first.save("landscape-512.jpg", quality=90)
saved = Image.open("landscape-512.jpg").convert("RGB")
saved.resize((256, 256), Image.LANCZOS).save("landscape-256.jpg", quality=85)
saved.resize((101, 101), Image.LANCZOS).save("landscape-101.jpg", quality=75)
second.resize((384, 250), Image.LANCZOS).save("other-384x250.jpg", quality=80)
saved.resize((96, 64), Image.LANCZOS).convert("CMYK").save("cmyk.jpg", quality=80)
saved.resize((96, 64), Image.LANCZOS).save("progressive.jpg", quality=80, progressive=True)
Image.linear_gradient("L").resize((120, 90)).save("gradient.jpg", quality=90)

told = {}
for name in ["landscape-512", "landscape-256", "landscape-101", "other-384x250", "cmyk", "progressive", "gradient"]:
    path = name + ".jpg"
    rgb = numpy.asarray(Image.open(path).convert("RGB"))
    bits, quality = pdqhash.compute(rgb)
    dihedral, _ = pdqhash.compute_dihedral(rgb)
    hexed = lambda bits: numpy.packbits(numpy.asarray(bits)).tobytes().hex()
    pixels = list(normalised(path).getdata())
    code = iscc_core.gen_image_code_v0(pixels, bits=256)["iscc"]
    told[path] = {"pdq": hexed(bits), "quality": int(quality), "dihedral": [hexed(b) for b in dihedral],
                  "iscc": iscc_core.iscc_decode(code)[4].hex()}
json.dump(told, open("expected.json", "w"), indent=1)
open("expected.json", "a").write("\n")
