"""Garments, hair and shoes hung on the MakeHuman base mesh, and random outfits of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .body import DECIMETRE
from .surface import load_arrays

FEMALE_SUITS = ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01",
                "female_sportsuit01")
MALE_SUITS = ("male_casualsuit01", "male_casualsuit02", "male_casualsuit03", "male_casualsuit04",
              "male_casualsuit05", "male_casualsuit06", "male_elegantsuit01", "male_worksuit01")
DRESSES = ("f_beach_dress_01", "f_dress_01", "f_dress_02", "f_dress_03", "f_dress_04", "tubedress",
           "babydoll")
FEMALE_TOPS = ("asymmetric_tunic_and_sash", "female_top_01", "sleeveless", "tank_top_01", "vnecktop",
               "tubetop", "spaghetti_top", "short_tail_camo_tee", "coat")
MALE_TOPS = ("tank_top_01", "short_tail_camo_tee", "vnecktop", "sleeveless")
FEMALE_BOTTOMS = ("tightjeans", "tightjeans", "shortjeans", "jeansskirt", "miniskirt",
                  "skirt_full_long")
MALE_BOTTOMS = ("tightjeans", "tightjeans", "shortjeans")
SKIRTS = ("jeansskirt", "miniskirt", "skirt_full_long", "skirt_full_long")
SWIMWEAR = (("f_bikini_01",), ("f_one_piece_swimsuit_01",), ("bandbikinibra", "bandbikinislip"),
            ("brazbikinibra", "brazbikinislip"))
FEMALE_HAIR = ("braid01", "bob01", "bob02", "long01", "ponytail01", "short03", "afro01", "short01")
MALE_HAIR = ("short01", "short02", "short03", "short04", "afro01", "short02", "short04")
SHOES = ("shoes01", "shoes02", "shoes03", "shoes04", "shoes05", "shoes06")


@dataclass(frozen=True)
class Garment:
    """One item; vertex = sum of weight x base vertex + scaled offset."""

    name: str
    kind: str  # clothes, shoes, hat, hair
    reference: np.ndarray  # (n,3) base mesh vertices
    weight: np.ndarray  # (n,3)
    offset: np.ndarray  # (n,3) metres
    scale: dict  # axis -> (vertex a, vertex b, length in metres)
    faces: np.ndarray  # (m,3) int32
    uv: np.ndarray  # (m,3,2)
    hide: np.ndarray  # base mesh vertices that the item covers
    textures: tuple  # paths
    cutout: bool
    licence: str
    author: str

    def fit(self, figure):
        """Vertices (n,3) float32 on a figure in its rest pose."""
        base = figure.vertices
        offset = self.offset.copy()
        for axis, (a, b, length) in self.scale.items():
            k = "xyz".index(axis)
            offset[:, k] *= abs(base[a, k] - base[b, k]) / length
        return np.einsum("nk,nkd->nd", self.weight, base[self.reference], dtype=np.float32) + offset

    def pose(self, fitted, transforms):
        """Skins fitted vertices by the mean transform of their reference vertices (19158,3,4)."""
        share = np.abs(self.weight) / np.abs(self.weight).sum(1, keepdims=True)
        mixed = np.einsum("nk,nkij->nij", share, transforms[self.reference])
        moved = np.einsum("nij,nj->ni", mixed[:, :, :3], fitted) + mixed[:, :, 3]
        return np.ascontiguousarray(moved, np.float32)


class Wardrobe:
    """All garments of an assets folder, read when first worn."""

    def __init__(self, folder, entries):
        """`entries`: of the folder's index."""
        self.folder = folder
        self.entries = {entry["name"]: entry for entry in entries}
        self._garments = {}

    @cached_property
    def names(self):
        return set(self.entries)

    def __getitem__(self, name):
        if name not in self._garments:
            self._garments[name] = self._read(self.entries[name])
        return self._garments[name]

    def _read(self, entry):
        reference, weight, offset, faces, face_uv, uv, hide = load_arrays(
            self.folder / entry["geometry"],
            ("ref", "weight", "offset", "tri", "tri_uv", "uv", "hide"))
        return Garment(
            name=entry["name"], kind=entry["kind"],
            reference=reference.astype(np.int64), weight=weight.astype(np.float32),
            offset=offset.astype(np.float32) * DECIMETRE,
            scale={axis: (a, b, length * DECIMETRE)
                   for axis, (a, b, length) in entry["offset_scale"].items()},
            faces=np.ascontiguousarray(faces, np.int32),
            uv=np.ascontiguousarray(uv[face_uv], np.float32),
            hide=hide.astype(np.int64),
            textures=tuple(self.folder / t for t in entry["textures"]),
            cutout=bool(entry["alpha"]), licence=entry["licence"], author=entry["author"],
        )

    def outfit(self, rng, female, bald=False, skirt=False):
        """Names of a random outfit, in the order in which the items lie over each other; with a dress or a `skirt` if asked for."""
        names, draw = [], rng.random()
        if skirt:
            names += [rng.choice(DRESSES)] if draw < 0.6 else [rng.choice(SKIRTS), rng.choice(FEMALE_TOPS)]
        elif female:
            if draw < 0.30:
                names.append(rng.choice(FEMALE_SUITS))
            elif draw < 0.45:
                names.append(rng.choice(DRESSES))
            elif draw < 0.50:
                names += SWIMWEAR[rng.integers(len(SWIMWEAR))]
            elif draw < 0.60:
                names.append(rng.choice(MALE_SUITS))
            else:
                names += [rng.choice(FEMALE_BOTTOMS), rng.choice(FEMALE_TOPS)]
        elif draw < 0.8:
            names.append(rng.choice(MALE_SUITS))
        else:
            names += [rng.choice(MALE_BOTTOMS), rng.choice(MALE_TOPS)]
        if rng.random() < 0.85:
            names.append(rng.choice(SHOES))
        elif female and rng.random() < 0.4:
            names.append("winterboots")
        if not bald and rng.random() < (0.97 if female else 0.85):
            names.append(rng.choice(FEMALE_HAIR if female else MALE_HAIR))
        if rng.random() < 0.1:
            names.append(rng.choice(("fedora", "fishing_hat_01", "pith_helmet")))
        if rng.random() < 0.15:
            names.append("glasses")
        worn = [str(name) for name in names if name in self.names]
        if len(worn) < len(names):  # somebody who lacks a piece wears a suit, if there is one
            suits = [name for name in (FEMALE_SUITS if female else MALE_SUITS) if name in self.names]
            rest = [name for name in worn if self.entries[name]["kind"] != "clothes"]
            worn = [str(rng.choice(suits)), *rest] if suits else worn
        return worn
