"""Random scenes: who stands where, seen by which camera, in which light, before what."""

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import Camera
from .effects import develop
from .people import build, random_look
from .raster import NO_ALPHA
from .render import IGNORE, Mesh, render
from .rotations import rotation_y
from .shading import LINEAR, Light
from .textures import Texture, random_colour

LEAST_PIXELS = 40  # a person with fewer visible pixels is not a training example
APART = 0.42  # metres between two people's middles


@dataclass(frozen=True)
class Scene:
    picture: np.ndarray  # (h,w,3) uint8 RGB
    iuv: np.ndarray  # (h,w,3) uint8 I, U, V; I = 255 ignore
    person: np.ndarray  # (h,w) uint8, 0 = nobody, k = boxes[k-1]
    boxes: list  # [x0,y0,x1,y1] per person, x1 and y1 exclusive
    ignore_boxes: list
    facing: str  # of the largest person: front, back or side


@dataclass(frozen=True)
class View:
    """How the main person is framed."""

    kind: str  # webcam, whole, close
    span: float  # metres that the picture's height covers at the main person
    aim: float  # height of the aimed point over the feet, in body heights
    fov: float  # vertical field of view, radians
    pitch: float  # radians


def random_view(rng):
    kind = rng.choice(["webcam", "whole", "close"], p=[0.3, 0.5, 0.2])
    pitch = np.deg2rad(rng.normal(4, 8))
    if kind == "webcam":
        bottom = rng.uniform(0.35, 0.8)  # share of the body height below the picture
        span = (1.0 - bottom) * rng.uniform(1.1, 1.7)
        return View(kind, span, bottom + span / 2 * rng.uniform(0.85, 1.0), np.deg2rad(rng.uniform(30, 70)),
                    np.deg2rad(rng.normal(0, 9)))
    if kind == "whole":
        if rng.random() < 0.2:
            pitch = np.deg2rad(rng.uniform(15, 42))  # seen from above
        return View(kind, np.exp(rng.uniform(np.log(1.05), np.log(3.2))), rng.uniform(0.4, 0.6),
                    np.deg2rad(rng.uniform(18, 65)), pitch)
    return View(kind, rng.uniform(0.45, 1.0), rng.uniform(0.15, 0.9), np.deg2rad(rng.uniform(20, 65)), pitch)


def random_background(assets, rng, width, height):
    """A cut of a photo, or a plain wall with a few rectangles; sometimes out of focus."""
    if rng.random() < 0.15:
        picture = _wall(rng, width, height)
    else:
        photo = assets.background(int(rng.integers(len(assets.backgrounds))))
        h, w = photo.shape[:2]
        scale = min(w / width, h / height) * rng.uniform(0.5, 1)
        cw, ch = max(8, int(width * scale)), max(8, int(height * scale))
        x, y = rng.integers(0, w - cw + 1), rng.integers(0, h - ch + 1)
        method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        picture = cv2.resize(photo[y:y + ch, x:x + cw], (width, height), interpolation=method)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.45:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 5))
    return np.ascontiguousarray(picture)


def _wall(rng, width, height):
    corners = np.stack([random_colour(rng)] * 4).reshape(2, 2, 3) * rng.uniform(0.7, 1.2, (2, 2, 1))
    picture = cv2.resize(np.clip(corners, 0, 255).astype(np.float32), (width, height))
    for _ in range(rng.integers(0, 7)):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(8, width // 2), rng.integers(8, height // 2)
        picture[y:y + h, x:x + w] = random_colour(rng)
    return picture.astype(np.uint8)


def random_light(rng, background):
    """Light whose ambient part takes on the background's colour."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(10, 80))
    direction = (np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth))
    tint = LINEAR[background].mean((0, 1)) + 0.05
    brightness = tint.mean()
    tint = 1 + 0.5 * (tint / brightness - 1)
    level = np.clip(brightness / 0.25, 0.35, 1.6) ** 0.6
    sun = rng.uniform(0.0, 1.3) * level
    ambient = rng.uniform(0.3, 0.9) * level
    colour = np.exp(rng.normal(0, 0.12) * np.array([1, 0, -1]))
    sky, ground = ambient * tint, ambient * tint * rng.uniform(0.3, 0.9)
    return Light(direction, tuple(sun * colour), tuple(sky), tuple(ground),
                 gloss=max(0.0, rng.normal(0.03, 0.06)))


def random_yaw(rng, view):
    """Any direction; before a webcam mostly the front."""
    if view.kind == "webcam" and rng.random() < 0.6:
        return rng.normal(0, np.deg2rad(30))
    return rng.uniform(-np.pi, np.pi)


def box_mesh(size, place, yaw, texture):
    """A box of size (x,y,z) standing on place (x,y,z), textured on every side."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0, 1) for z in (-0.5, 0.5)])
    vertices = (corners * size) @ rotation_y(yaw).T + place
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    # Own vertices per side keep the edges sharp.
    vertices = vertices[quads.ravel()].astype(np.float32)
    start = 4 * np.arange(6)[:, None, None]
    faces = (start + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3).astype(np.int32)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    uv = np.tile(square[[[0, 1, 2], [0, 2, 3]]], (6, 1, 1))
    return Mesh(vertices, faces, np.ascontiguousarray(uv), texture)


def _prop_texture(assets, rng):
    if rng.random() < 0.4:
        return Texture.plain(np.clip(random_colour(rng), 0, 255))
    photo = assets.background(int(rng.integers(len(assets.backgrounds))))
    return Texture(np.ascontiguousarray(photo[::2, ::2]), NO_ALPHA)


def _props(assets, rng, camera, distance, view, width, height):
    """Things between camera and people: a table's edge, posts, boxes."""
    props = []
    # Width and height as shares of the picture, and where the foot stands.
    for _ in range(rng.choice([0, 1, 2], p=[0.68, 0.24, 0.08])):
        depth = distance * rng.uniform(0.35, 0.9)
        metres = depth / camera.focal  # per pixel at that depth
        shape = rng.choice(["post", "table", "box"])
        share = {
            "post": (rng.uniform(0.04, 0.15), 2.0),
            "table": (rng.uniform(0.5, 1.5), rng.uniform(0.15, 0.4)),
            "box": (rng.uniform(0.1, 0.35), rng.uniform(0.1, 0.4)),
        }[shape]
        size = np.array([share[0] * width, share[1] * height, share[0] * width]) * metres
        size[2] = min(size[2], 0.5 * depth)
        x = rng.uniform(0, width)
        y = height * {"post": 1.3, "table": 1.0, "box": rng.uniform(0.6, 1.1)}[shape]
        ray = np.array([(x - camera.centre[0]) * metres, (y - camera.centre[1]) * metres, depth])
        place = camera.rotation.T @ ray + camera.position
        props.append(box_mesh(size, place, rng.uniform(-0.6, 0.6), _prop_texture(assets, rng)))
    return props


def random_scene(assets, rng, width, height):
    """A `Scene` of width x height pixels; `rng` (numpy Generator) decides everything."""
    view = random_view(rng)
    background = random_background(assets, rng, width, height)
    focal = height / 2 / np.tan(view.fov / 2)
    pose = assets.poses.sample(rng, upper_body=view.kind == "webcam")
    texels = 256 if view.span > 1.2 else 512
    first = build(assets, random_look(assets, rng, texels), pose, 1, random_yaw(rng, view))
    tall = max(first.high[1], 0.6)
    distance = max(view.span * tall * focal / height, 0.35)
    aim = np.array([0, view.aim * tall, 0])
    if view.kind == "close":  # any point of the body may be in the middle
        aim = first.body[rng.integers(len(first.body))] * [0.7, 1, 0]
    wide = 0.1 if view.kind == "webcam" else 0.25
    centre = (width * (0.5 + rng.uniform(-wide, wide)), height * (0.5 + rng.uniform(-0.06, 0.06)))
    roll = np.deg2rad(rng.normal(0, 12 if rng.random() < 0.1 else 2))
    camera = Camera.aimed(aim, distance, view.pitch, focal, centre, roll)
    people = [first] + _company(assets, rng, view, camera, distance, width)
    meshes = [mesh for person in people for mesh in person.meshes]
    meshes += _props(assets, rng, camera, distance, view, width, height)
    bodies = {k: person.body for k, person in enumerate(people, 1)}
    result = render(
        meshes, bodies, assets.surface, camera, random_light(rng, background), background,
        shadows=rng.random() < 0.8, floor=0.0 if view.kind == "whole" and rng.random() < 0.6 else None,
        floor_strength=rng.uniform(0.2, 0.7))
    picture = develop(rng, result.linear)
    return finish(picture, result.iuv, result.person, len(people))


def _company(assets, rng, view, camera, distance, width):
    """The other people, on the same floor, not inside each other."""
    chances = {"webcam": [0.62, 0.25, 0.09, 0.04], "whole": [0.36, 0.28, 0.18, 0.11, 0.07],
               "close": [0.6, 0.25, 0.1, 0.05]}[view.kind]
    places, people = [np.zeros(2)], []
    for _ in range(rng.choice(len(chances), p=chances)):
        for _ in range(6):
            depth = distance * (rng.uniform(0.75, 1.6) if rng.random() < 0.6 else rng.uniform(1.2, 4))
            x = (rng.uniform(-0.05, 1.05) * width - camera.centre[0]) / camera.focal * depth
            place = np.array([x, camera.position[2] - depth * np.cos(view.pitch)])
            if min(np.linalg.norm(place - other) for other in places) > APART and depth > 0.4:
                break
        else:
            continue
        places.append(place)
        pose = assets.poses.sample(rng, upper_body=view.kind == "webcam")
        texels = 256 if depth < 1.5 * distance else 128
        people.append(build(assets, random_look(assets, rng, texels), pose, len(people) + 2,
                            rng.uniform(-np.pi, np.pi), place))
    return people


def finish(picture, iuv, person, count):
    """`Scene` of people 1..count in the `person` map; those too small to be examples become ignore."""
    boxes, ignore_boxes, order = [], [], np.zeros(256, np.uint8)
    largest, facing = 0, "side"
    iuv = iuv.copy()
    for k in range(1, count + 1):
        mask = person == k
        pixels = int(mask.sum())
        if pixels == 0:
            continue
        ys, xs = np.nonzero(mask)
        box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
        labelled = int((iuv[..., 0][mask] != IGNORE).sum())
        if pixels < LEAST_PIXELS or labelled < LEAST_PIXELS / 2:
            iuv[mask] = (IGNORE, 0, 0)
            ignore_boxes.append(box)
            continue
        boxes.append(box)
        order[k] = len(boxes)
        if pixels > largest:
            largest = pixels
            _, back, front = np.bincount(iuv[..., 0][mask], minlength=3)[:3]
            facing = "front" if front > 3 * back else ("back" if back > 3 * front else "side")
    return Scene(picture, iuv, order[person], boxes, ignore_boxes, facing)
