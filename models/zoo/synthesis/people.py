"""Dresses a figure, poses it and puts it into the world."""

from dataclasses import dataclass, replace

import numpy as np

from . import textures
from .assets import pooled_shape
from .body import BodyShape
from .raster import vertex_normals
from .render import CLOTH, HAIR, SKIN, Mesh
from .rotations import rotation_y
from .textures import Texture

LAYER_GAP = 0.003  # metres between garments worn over each other


@dataclass(frozen=True)
class Look:
    """What a person wears; drawn once, used for every frame."""

    shape: BodyShape
    skin: Texture | None  # MakeHuman skin, or None where `painting` is used
    eyes: Texture | None
    painting: Texture | None  # clothed texture over the DensePose surface
    items: tuple  # (garment name, Texture)


@dataclass(frozen=True)
class Person:
    """Meshes in the world and the DensePose surface S (6890,3)."""

    meshes: tuple
    body: np.ndarray

    @property
    def low(self):
        return self.body.min(0)

    @property
    def high(self):
        return self.body.max(0)


def random_look(assets, rng, texels=512, shape=None, painted_share=0.35, skirt=False):
    """A random look. `texels`: texture side wanted; `skirt`: where clothes are not painted on, a dress or a skirt."""
    shape = shape or pooled_shape(rng)
    female = shape.gender < 0.5
    if assets.paintings and rng.random() < painted_share:
        painting = textures.load(assets.paintings[rng.integers(len(assets.paintings))], texels)
        hair = []
        if rng.random() < 0.35:
            names = [n for n in assets.wardrobe.outfit(rng, female)
                     if assets.wardrobe.entries[n]["kind"] in ("hair", "hat")]
            hair = [(n, _dye(assets, rng, n, texels)) for n in names]
        return Look(shape, None, None, painting, tuple(hair))
    bald = shape.age > 0.8 and not female and rng.random() < 0.4
    names = assets.wardrobe.outfit(rng, female, bald, skirt)
    items = tuple((n, _dye(assets, rng, n, texels)) for n in names)
    return Look(shape, _skin(assets, rng, shape, texels), _eyes(rng), None, items)


def _skin(assets, rng, shape, texels):
    sex = "female" if shape.gender < 0.5 else "male"
    age = "young" if shape.age < 0.6 else ("middleage" if shape.age < 0.8 else "old")
    group = ("african", "asian", "caucasian")[int(np.argmax(shape.race))]
    fitting = [s for s in assets.skins if (s["sex"], s["age"], s["group"]) == (sex, age, group)]
    choice = (fitting or assets.skins)[rng.integers(len(fitting or assets.skins))]
    skin = textures.load(assets.folder / "skins" / choice["file"], texels)
    tone = rng.uniform(0.75, 1.15) * (1 + rng.normal(0, 0.03, 3))
    return replace(skin, rgb=np.clip(skin.rgb * tone, 0, 255).astype(np.uint8))


def _eyes(rng):
    y, x = np.mgrid[0:32, 0:32] - 15.5
    radius = np.hypot(x, y)
    eye = np.full((32, 32, 3), (215, 210, 205), np.uint8)
    eye[radius < 6.5] = rng.choice([(60, 40, 25), (90, 65, 35), (80, 110, 130), (70, 95, 65)])
    eye[radius < 3] = 15
    return Texture(eye, textures.NO_ALPHA)


def _dye(assets, rng, name, texels):
    garment = assets.wardrobe[name]
    path = garment.textures[rng.integers(len(garment.textures))]
    texture = textures.load(path, texels, cutout=garment.cutout)
    if garment.kind == "hair":
        colour = np.array([(1, 1, 1), (0.35, 0.3, 0.3), (0.8, 0.65, 0.5), (1.5, 1.3, 0.9), (1.3, 1.3, 1.3)])
        tint = colour[rng.integers(len(colour))] * rng.uniform(0.7, 1.2)
        return replace(texture, rgb=np.clip(texture.rgb * tint, 0, 255).astype(np.uint8))
    draw = rng.random()
    if draw < 0.35:
        return texture
    if draw < 0.75:
        return textures.recoloured(rng, texture)
    if draw < 0.88:
        return textures.recoloured(rng, texture, textures.stripes(rng))
    return textures.recoloured(rng, texture, assets.background(int(rng.integers(len(assets.backgrounds)))))


def build(assets, look, pose, index, yaw=0.0, place=(0, 0), floor=0.0):
    """Person number `index` (from 1) at `place` (x, z), turned by `yaw`, lowest point on `floor`."""
    model = assets.model
    figure = assets.figure(look.shape)
    posed = model.pose(figure, pose)
    body = assets.surface.points(posed.vertices)
    meshes = []
    if look.painting is not None:
        meshes.append(Mesh(body, assets.painting_faces, assets.painting_uv, look.painting, index, SKIN))
    else:
        hidden = np.zeros(len(figure.vertices), bool)
        for name, _ in look.items:
            hidden[assets.wardrobe[name].hide] = True
        kept = ~hidden[model.faces].all(1)
        meshes.append(Mesh(posed.vertices, np.ascontiguousarray(model.faces[kept]),
                           np.ascontiguousarray(model.face_uv[kept]), look.skin, index, SKIN,
                           assets.skin_labels))
        meshes.append(Mesh(posed.vertices, model.eye_faces, assets.eye_uv, look.eyes, index, SKIN,
                           assets.skin_labels))
    for layer, (name, texture) in enumerate(look.items):
        garment = assets.wardrobe[name]
        vertices = garment.pose(garment.fit(figure), posed.transforms)
        vertices += np.float32(layer * LAYER_GAP) * vertex_normals(vertices, garment.faces)
        kind = HAIR if garment.kind in ("hair", "hat") else CLOTH
        meshes.append(Mesh(vertices, garment.faces, garment.uv, texture, index, kind,
                           assets.garment_labels(garment)))
    turn = rotation_y(yaw)
    # The yaw leaves heights alone, so the floor can be found before it.
    low = min(body[:, 1].min(), *(m.vertices[:, 1].min() for m in meshes if m.kind == CLOTH), np.inf)
    pelvis = turn @ figure.heads[0]
    shift = np.array([place[0] - pelvis[0], floor - low, place[1] - pelvis[2]])

    def moved(vertices):
        return np.ascontiguousarray(vertices @ turn.T + shift, np.float32)

    return Person(tuple(replace(m, vertices=moved(m.vertices)) for m in meshes), moved(body))
