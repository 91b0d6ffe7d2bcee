"""Renders a clip of people whose ways are known, to measure tracking with: python -m zoo.walks --assets DATA --out walks.avi

Four people on the square of `zoo.demo_clip`: two cross, one turns back behind another, one leaves and comes back, one comes
late. Beside the clip lies its truth, `walks.jsonl`, as densepose-export writes people: boxes and maps of what is visible of
them, with their numbers. `python -m zoo.flicker walks.avi PEOPLE.jsonl --truth walks.jsonl` compares. None of it is trained on.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from .demo_clip import CAMERA, HEIGHT, LIGHT, RATE, WIDTH, backdrop, walk_pose
from .synthesis import textures
from .synthesis.assets import Assets
from .synthesis.body import AssetError, BodyShape
from .synthesis.people import Look, Person, build
from .synthesis.procedural import set_fingers
from .synthesis.render import render
from .synthesis.shading import to_display
from .synthesis.textures import NO_ALPHA, Texture

SECONDS = 11.0
LEAST = 40  # pixels from which on somebody is visible
# Shape, skin, garments, and the way: (second, x, z) in metres, straight between.
CAST = (
    (BodyShape(gender=1, age=0.5, muscle=0.6, weight=0.5, height=0.45, race=(0.1, 0.1, 0.8)), "young_caucasian_male_v2.jpg",
     ("male_casualsuit03", "shoes02", "short02"), ((0, -3.2, -6.0), (8, 3.4, -6.0), (11, 6.0, -6.2))),
    (BodyShape(gender=0, age=0.5, muscle=0.5, weight=0.45, height=0.42, race=(0.8, 0.1, 0.1)), "young_african_female.jpg",
     ("female_casualsuit01", "shoes05", "ponytail01"), ((0, 2.6, -5.1), (7, -2.9, -5.2), (9, -4.6, -5.3), (11, -3.0, -5.4))),
    (BodyShape(gender=1, age=0.8, muscle=0.45, weight=0.6, height=0.38, race=(0.1, 0.8, 0.1)), "middleage_asian_male_v2.jpg",
     ("male_elegantsuit01", "shoes04", "short04"), ((0, 1.9, -8.6), (4, -1.2, -8.2), (8, 1.8, -8.0), (11, 3.9, -7.6))),
    (BodyShape(gender=0, age=0.6, muscle=0.5, weight=0.5, height=0.4, race=(0.1, 0.1, 0.8)), "middleage_caucasian_female.jpg",
     ("female_casualsuit02", "shoes05", "bob01"), ((0, 5.5, -6.8), (3, 5.5, -6.8), (11, -2.9, -6.9))),
)


def place(way: tuple[tuple[float, float, float], ...], second: float) -> tuple[np.ndarray, float, float]:
    """Where somebody is on their way (x, z), how far they have walked, and the direction they look in, radians."""
    walked, here, heading = 0.0, np.array(way[0][1:], float), 0.0
    for (start, *a), (end, *b) in zip(way, way[1:]):
        step = np.subtract(b, a)
        length = float(np.hypot(*step))
        if length > 0:
            heading = float(np.arctan2(*step))
        share = np.clip((second - start) / (end - start), 0, 1)
        here = np.add(a, step * share)
        walked += length * float(share)
        if second < end:
            break
    return here, walked, heading


def looks(assets: Assets) -> list[Look]:
    """One per person of CAST."""
    eye = Texture(np.full((1, 1, 3), (70, 55, 45), np.uint8), NO_ALPHA)
    made = []
    for shape, skin, names, _ in CAST:
        garments = ((name, assets.wardrobe[name]) for name in names)
        items = tuple((name, textures.load(g.textures[0], 512, cutout=g.cutout)) for name, g in garments)
        made.append(Look(shape, textures.load(assets.folder / "skins" / skin, 512), eye, None, items))
    return made


def frames(assets: Assets) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every frame: picture (height, width, 3) uint8 RGB, IUV of the same shape, and whose each pixel is (0 = nobody's)."""
    cast, ground = looks(assets), backdrop(assets.folder)
    walk = assets.poses.motion(assets.folder / "poses" / "deepmimic" / "humanoid3d_walk.txt")
    poses = len(walk.rotations) - 1  # the last one repeats the first
    stride = np.linalg.norm((walk.root[-1] - walk.root[0])[[0, 2]])
    for number in range(int(SECONDS * RATE)):
        people: list[Person] = []
        for index, (look, (shape, _, _, way)) in enumerate(zip(cast, CAST), 1):
            here, walked, heading = place(way, number / RATE)
            figure = assets.figure(shape)
            hip, ankle = (figure.heads[assets.model.index[b], 1] for b in ("upperleg01.L", "foot.L"))
            pose = walk_pose(walk.rotations[:poses], walked / (stride * (hip - ankle)) * poses + 7 * index)
            set_fingers(np.random.default_rng(index), assets.poses.skeleton, pose, ("down", "down"))
            people.append(build(assets, look, pose, index, heading, here))
        meshes = [mesh for person in people for mesh in person.meshes]
        bodies = {k: person.body for k, person in enumerate(people, 1)}
        result = render(meshes, bodies, assets.surface, CAMERA, LIGHT, ground, floor=0.0, floor_strength=0.6, shadow_size=1024)
        yield to_display(result.linear), result.iuv, result.person


def line(number: int, iuv: np.ndarray, person: np.ndarray) -> str:
    """The people of a frame as densepose-export writes them, with the boxes of what is visible."""
    people = []
    for who in np.unique(person[person > 0]):
        mask = (person == who) & (iuv[..., 0] > 0)
        if mask.sum() < LEAST:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        y, x, h, w = rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        cut = np.where(mask[..., None], iuv, 0)[y : y + h, x : x + w, ::-1]  # OpenCV has blue first
        png = base64.b64encode(cv2.imencode(".png", cut)[1].tobytes()).decode()
        people.append({"id": int(who), "score": 1.0, "box": [int(v) for v in (x, y, w, h)], "iuv": png})
    height, width = person.shape
    return json.dumps({"version": 1, "frame": number, "width": width, "height": height, "age": 0, "persons": people}) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m zoo.walks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", required=True, type=Path, help="training data folder")
    parser.add_argument("--out", required=True, type=Path, help="video file to write (.avi, Motion JPEG); its truth gets the same name with .jsonl")
    options = parser.parse_args(arguments)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        video = cv2.VideoWriter(str(options.out), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
        if not video.isOpened():
            raise OSError(f"{options.out}: OpenCV writes no video there; name it .avi")
        with options.out.with_suffix(".jsonl").open("w") as truth:
            for number, (picture, iuv, person) in enumerate(frames(Assets(options.assets))):
                truth.write(line(number, iuv, person))
                video.write(np.ascontiguousarray(picture[..., ::-1]))
        video.release()
    except (AssetError, OSError) as error:
        print(f"walks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
