"""Renders a dataset of synthetic people with exact I, U, V.

    python -m zoo.synthesize --assets DATA --out DIR --count 1000 --seed 1

writes NAME.jpg, NAME.iuv.png (channels I, U, V as OpenCV reads them; I = 255 ignore; U, V =
round(255 x value)), NAME.person.png (0 = nobody, k = k-th box) and index.jsonl, to which a line is
added when its files are complete, so a trainer may read the folder while it grows. Scene i of a
seed is always the same picture. A started folder is continued.
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from .pictures import write_picture
from .synthesis.assets import Assets
from .synthesis.body import AssetError
from .synthesis.catalogue import catalogue_scene
from .synthesis.scene import random_scene

LICENCE = "rendered; assets as listed in models/README.md (non-commercial parts: charts, textures)"
FREE = "rendered from CC0 material; poses: MakeHuman (CC0), DeepMimic (MIT), CMU Graphics Lab Motion Capture Database"
_assets = None


def picture_size(rng, size):
    """Width and height whose geometric mean is about size * U(0.75, 1.25), landscape or portrait."""
    mean = size * rng.uniform(0.75, 1.25)
    aspect = rng.choice([4 / 3, 16 / 9, 1.0, 3 / 4, 9 / 16, 3 / 2, 2 / 3], p=[.25, .2, .12, .15, .05, .13, .1])
    return [int(round(n / 2)) * 2 for n in (mean * aspect**0.5, mean / aspect**0.5)]


def make_scene(assets, seed, number, size, scene=random_scene):
    """Scene `number` of a seed, made by `scene`, and the JPEG quality to store it with."""
    rng = np.random.default_rng([seed, number])
    width, height = picture_size(rng, size)
    quality = int(rng.uniform(35, 96))
    return scene(assets, rng, width, height), quality


def save_scene(folder, name, scene, quality, split="train", licence=LICENCE):
    """Writes a scene's pictures and returns its index entry."""
    folder = Path(folder)
    files = {f"{name}.jpg": (scene.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality]),
             f"{name}.iuv.png": (scene.iuv, []), f"{name}.person.png": (scene.person, [])}
    for file, (pixels, options) in files.items():
        write_picture(folder / file, pixels, options)
    height, width = scene.person.shape
    return {
        "file": f"{name}.jpg", "iuv": f"{name}.iuv.png", "person": f"{name}.person.png",
        "width": width, "height": height, "source": "synthetic", "licence": licence,
        "boxes": scene.boxes, "ignore_boxes": scene.ignore_boxes, "complete": True, "quality": 1.0,
        "split": split, "facing": scene.facing, "repaired": False,
        "person_px": int(((scene.iuv[..., 0] > 0) & (scene.iuv[..., 0] < 255)).sum()),
    }


def _open_assets(folder, free):
    global _assets
    cv2.setNumThreads(1)
    _assets = Assets(folder, free)


def _work(job):
    seed, number, size, folder, split, make = job
    scene, quality = make_scene(_assets, seed, number, size, make)
    return save_scene(folder, f"s{seed:03d}_{number:06d}", scene, quality, split, FREE if _assets.free else LICENCE)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", required=True, type=Path, help="training data folder (body, poses, skins, ...)")
    parser.add_argument("--out", required=True, type=Path, help="folder to write or continue")
    parser.add_argument("--count", type=int, default=1000, help="scenes in the folder when done (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=320, help="typical side in pixels; varies by a quarter (default 320)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--split", choices=("train", "val"), default="train")
    parser.add_argument("--catalogue", action="store_true", help="single people standing, mostly seen from behind or aside, half in skirts")
    parser.add_argument("--free", action="store_true", help="show nothing but CC0 material, so that pictures may be shown")
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        index = options.out / "index.jsonl"
        done = {json.loads(line)["file"] for line in index.read_text().splitlines()} if index.exists() else set()
        make = catalogue_scene if options.catalogue else random_scene
        jobs = [(options.seed, n, options.size, options.out, options.split, make) for n in range(options.count)
                if f"s{options.seed:03d}_{n:06d}.jpg" not in done]
        with index.open("a") as lines:
            if options.workers <= 1:
                _open_assets(options.assets, options.free)
                results = map(_work, jobs)
                _collect(results, lines, len(jobs))
            else:
                Assets(options.assets, options.free)  # a wrong folder is reported here, not by every worker
                with ProcessPoolExecutor(options.workers, initializer=_open_assets,
                                         initargs=(options.assets, options.free)) as pool:
                    _collect(pool.map(_work, jobs, chunksize=4), lines, len(jobs))
    except (AssetError, OSError, ValueError) as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 1
    return 0


def _collect(entries, lines, total):
    for number, entry in enumerate(entries, 1):
        if entry["boxes"]:
            lines.write(json.dumps(entry) + "\n")
            lines.flush()
        if number % 100 == 0:
            print(f"{number}/{total} scenes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
