"""Renders the demo clip: three people walk over a square, one towards the camera, one away, one across.

    python -m zoo.demo_clip --assets DATA --out walking.mp4

Only CC0 material is drawn (MakeHuman body, skins, garments of the system assets, one CC0 backdrop);
the motion is DeepMimic's walk (MIT). Needs ffmpeg with libx264.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from .synthesis import textures
from .synthesis.assets import Assets
from .synthesis.body import AssetError, BodyShape
from .synthesis.camera import Camera
from .synthesis.people import Look, build
from .synthesis.procedural import set_fingers, tilt
from .synthesis.rotations import fraction
from .synthesis.render import render
from .synthesis.shading import Light, to_display
from .synthesis.textures import NO_ALPHA, Texture

WIDTH, HEIGHT, RATE = 640, 360, 24
SECONDS = 7.0
BACKDROP = "e050.jpg"
CAMERA = Camera(focal=560.0, centre=(WIDTH / 2, 172.0), position=(0.0, 1.55, 0.0), pitch=np.deg2rad(4.5))
LIGHT = Light(direction=(-0.55, 0.66, 0.51), colour=(1.0, 0.93, 0.82), sky=(0.36, 0.42, 0.5),
              ground=(0.22, 0.2, 0.18), gloss=0.03)
# Shape, skin, garments, start (x, z), end (x, z) in metres, phase of the walk in seconds.
CAST = (
    (BodyShape(gender=1, age=0.55, muscle=0.6, weight=0.5, height=0.42, race=(0.1, 0.1, 0.8)),
     "young_caucasian_male.jpg", ("male_casualsuit03", "shoes02", "short02"), (-1.5, -10.5), (-0.7, -2.9), 0.0),
    (BodyShape(gender=0, age=0.5, muscle=0.5, weight=0.45, height=0.42, race=(0.8, 0.1, 0.1)),
     "young_african_female.jpg", ("female_casualsuit01", "shoes05", "ponytail01"), (0.75, -3.1), (1.5, -10.4), 0.5),
    (BodyShape(gender=1, age=0.8, muscle=0.45, weight=0.6, height=0.38, race=(0.1, 0.8, 0.1)),
     "middleage_asian_male_v2.jpg", ("male_elegantsuit01", "shoes04", "short04"), (-4.0, -6.9), (4.1, -6.3), 0.9),
)


def cast_looks(assets):
    """`Look` per person of CAST, CC0 only."""
    eye = Texture(np.full((1, 1, 3), (70, 55, 45), np.uint8), NO_ALPHA)
    looks = []
    for shape, skin, names, *_ in CAST:
        items = []
        for name in names:
            garment = assets.wardrobe[name]
            if not garment.licence.startswith("CC0"):
                raise AssetError(f"{name} is {garment.licence}; the demo clip is made of CC0 material only")
            items.append((name, textures.load(garment.textures[0], 512, cutout=garment.cutout)))
        looks.append(Look(shape, textures.load(assets.folder / "skins" / skin, 512), eye, None, tuple(items)))
    return looks


def backdrop(folder):
    """Mountains over a paved square (h,w,3) uint8; the paving is computed here."""
    scale = 4  # drawn larger and shrunk, for smooth joints
    ys, xs = np.mgrid[0:HEIGHT * scale, 0:WIDTH * scale]
    rays = np.stack([((xs + 0.5) / scale - CAMERA.centre[0]) / CAMERA.focal,
                     ((ys + 0.5) / scale - CAMERA.centre[1]) / CAMERA.focal, np.ones(xs.shape)], -1)
    rays = rays @ CAMERA.rotation
    floor = rays[..., 1] < -1e-4
    distance = -CAMERA.position[1] / np.where(floor, rays[..., 1], -1)
    x, z = rays[..., 0] * distance, rays[..., 2] * distance
    slab = 0.8
    column, row = np.floor(x / slab), np.floor(z / slab)
    shade = np.modf(np.abs(np.sin(column * 12.9898 + row * 78.233)) * 43758.5453)[0]
    joint = np.maximum(np.abs((x / slab) % 1 - 0.5), np.abs((z / slab) % 1 - 0.5)) > 0.485
    detail = np.clip(6 / np.maximum(distance, 1), 0, 1)
    grey = 150 + detail * (16 * (shade - 0.5) - 34 * joint)
    haze = np.clip((distance - 12) / 60, 0, 1)[..., None]
    ground = grey[..., None] * np.array([1.0, 0.97, 0.92])
    ground = ground * (1 - haze) + np.array([120, 118, 112]) * haze
    photo = textures.read_picture(folder / "backgrounds" / BACKDROP)[..., :3]
    horizon = int(np.argmax(floor.any(1)) / scale) + 1
    cut = photo[: int(photo.shape[0] * 0.86)]
    wanted = (WIDTH, int(round(WIDTH * cut.shape[0] / cut.shape[1])))
    cut = cv2.resize(cut, wanted, interpolation=cv2.INTER_CUBIC)
    sky = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    sky[:horizon] = cut[-horizon:] if len(cut) >= horizon else cv2.resize(cut, (WIDTH, horizon))
    sky = cv2.GaussianBlur(sky, (0, 0), 1.0)
    small = cv2.resize(np.where(floor[..., None], ground, 0).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(floor.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[..., None]
    return np.clip(sky * (1 - cover) + small, 0, 255).astype(np.uint8)


def walk_pose(frames, position):
    """Rotations at a fractional frame of a looped walk."""
    first = int(np.floor(position)) % len(frames)
    second, share = (first + 1) % len(frames), position % 1
    return np.stack([a @ fraction(a.T @ b, share) for a, b in zip(frames[first], frames[second])])


def people_at(assets, looks, walk, seconds):
    """The three people after `seconds`."""
    people = []
    leg_frames = len(walk.rotations) - 1  # the last frame repeats the first
    stride = np.linalg.norm((walk.root[-1] - walk.root[0])[[0, 2]])
    for index, (look, (shape, _, _, start, end, phase)) in enumerate(zip(looks, CAST), 1):
        figure = assets.figure(shape)
        hip, ankle = (figure.heads[assets.model.index[b], 1] for b in ("upperleg01.L", "foot.L"))
        step = np.subtract(end, start)
        metres = np.linalg.norm(step) * seconds / SECONDS
        position = metres / (stride * (hip - ankle)) * leg_frames + phase / walk.period
        pose = walk_pose(walk.rotations[:leg_frames], position)
        rng = np.random.default_rng(index)  # a manner of walking of one's own
        set_fingers(rng, assets.poses.skeleton, pose, ("down", "down"))
        for name, degrees in (("spine02", 4), ("head", 6), ("upperarm01.L", 4), ("upperarm01.R", 4)):
            bone = assets.model.index[name]
            pose[bone] = tilt(rng, degrees, degrees, degrees / 2) @ pose[bone]
        yaw = np.arctan2(step[0], step[1])
        people.append(build(assets, look, pose, index, yaw, np.add(start, step * seconds / SECONDS)))
    return people


def frames(assets, step=1):
    """Yields every `step`-th frame: (picture (h,w,3) uint8 RGB, iuv, person)."""
    looks, ground = cast_looks(assets), backdrop(assets.folder)
    walk = assets.poses.motion(assets.folder / "poses" / "deepmimic" / "humanoid3d_walk.txt")
    for number in range(0, int(SECONDS * RATE), step):
        people = people_at(assets, looks, walk, number / RATE)
        meshes = [mesh for person in people for mesh in person.meshes]
        bodies = {k: person.body for k, person in enumerate(people, 1)}
        result = render(meshes, bodies, assets.surface, CAMERA, LIGHT, ground, floor=0.0, floor_strength=0.6,
                        shadow_size=1024)
        yield to_display(result.linear), result.iuv, result.person


def encode(pictures, path, crf=21):
    """Writes pictures (h,w,3) uint8 RGB as H.264."""
    if shutil.which("ffmpeg") is None:
        raise OSError("ffmpeg is not installed: apt-get install ffmpeg")
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "-", "-c:v", "libx264", "-preset", "veryslow",
               "-crf", str(crf), "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        for picture in pictures:
            process.stdin.write(picture.tobytes())
        process.stdin.close()
    if process.returncode:
        raise OSError(f"ffmpeg failed on {path} (exit status {process.returncode})")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", required=True, type=Path, help="training data folder")
    parser.add_argument("--out", required=True, type=Path, help="video file to write (.mp4)")
    parser.add_argument("--crf", type=int, default=21, help="x264 quality, lower is better and larger (default 21)")
    options = parser.parse_args(arguments)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        encode((picture for picture, _, _ in frames(Assets(options.assets))), options.out, options.crf)
    except (AssetError, OSError) as error:
        print(f"demo_clip: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
