"""Everyday poses written as limb directions: standing, sitting, arms crossed, on the phone, ...

Directions are (outward, up, forward) of the chest for arms and of the pelvis for legs; `outward` is
away from the body's middle on either side.
"""

import numpy as np

from .rotations import axis_angle, rotation_x, rotation_y, rotation_z
from .skeleton import SIDES

# name: (upper arm, forearm)
ARMS = {
    "down": ((0.16, -1, 0.0), (0.08, -1, 0.18)),
    "hip": ((0.75, -0.75, -0.25), (-0.75, -0.5, 0.35)),
    "crossed": ((0.22, -0.95, 0.32), (-0.88, 0.05, 0.5)),
    "raised": ((0.45, 0.85, 0.0), (0.1, 1, 0.1)),
    "waving": ((0.85, -0.35, 0.15), (0.3, 1, 0.2)),
    "ahead": ((0.15, -0.1, 1), (0.05, 0, 1)),
    "aside": ((1, 0, 0), (1, 0.02, 0.1)),
    "phone": ((0.18, -0.95, 0.25), (-0.3, 0.4, 0.85)),
    "ear": ((0.4, -0.85, 0.35), (-0.18, 1, 0.05)),
    "pocket": ((0.32, -0.95, -0.2), (-0.12, -0.9, 0.35)),
    "behind": ((0.3, -0.9, -0.35), (-0.6, -0.55, -0.3)),
    "desk": ((0.22, -0.9, 0.4), (-0.25, -0.08, 1)),
    "lap": ((0.2, -0.95, 0.15), (-0.3, -0.5, 0.85)),
    "chin": ((0.1, -0.75, 0.65), (-0.35, 0.9, 0.1)),
    "nape": ((0.9, 0.45, 0.0), (-0.65, 0.6, -0.45)),
    "carry": ((0.15, -1, 0.05), (-0.1, 0.05, 1)),
}
# Both arms alike (symmetric) or one free choice per side.
ARMS_TOGETHER = ("down", "hip", "crossed", "raised", "ahead", "aside", "phone", "pocket", "behind",
                 "desk", "lap", "nape", "carry")
ARMS_SEATED = ("desk", "lap", "crossed", "phone", "chin", "down", "ear", "waving")
FISTS = ("hip", "carry", "phone", "ear", "pocket")
# name: (thigh, shin)
LEGS = {
    "straight": ((0.08, -1, 0.02), (0.02, -1, -0.03)),
    "apart": ((0.32, -1, 0.0), (0.2, -1, -0.03)),
    "relaxed": ((0.16, -1, 0.2), (0.05, -1, -0.15)),
    "ahead": ((0.06, -1, 0.45), (0.0, -1, 0.1)),
    "back": ((0.06, -1, -0.3), (0.0, -0.8, -0.6)),
    "seated": ((0.16, -0.12, 1), (0.02, -1, 0.05)),
    "seated wide": ((0.45, -0.15, 1), (0.1, -1, 0.1)),
    "seated back": ((0.14, -0.1, 1), (0.02, -1, -0.4)),
    "seated long": ((0.12, -0.15, 1), (0.0, -0.75, 0.7)),
    "crossed over": ((-0.12, 0.08, 1), (-0.3, -0.9, 0.35)),
    "squat": ((0.4, 0.0, 1), (0.05, -1, -0.45)),
    "kneel": ((0.1, -1, 0.05), (0.02, -0.15, -1)),
    "lifted": ((0.15, -0.3, 1), (0.0, -1, -0.1)),
}
STANDING = (("straight", "straight"), ("apart", "apart"), ("straight", "relaxed"),
            ("straight", "straight"), ("apart", "apart"), ("relaxed", "straight"), ("ahead", "back"),
            ("straight", "relaxed"), ("straight", "lifted"))
SEATED = (("seated", "seated"), ("seated wide", "seated wide"), ("seated back", "seated"),
          ("seated", "crossed over"), ("seated long", "seated long"), ("squat", "squat"),
          ("kneel", "kneel"), ("kneel", "squat"))


def _normal(rng, degrees):
    return np.deg2rad(degrees) * np.clip(rng.normal(), -2.5, 2.5)


def tilt(rng, yaw, pitch, roll):
    """Random rotation with the given standard deviations in degrees."""
    return rotation_y(_normal(rng, yaw)) @ rotation_x(_normal(rng, pitch)) @ rotation_z(_normal(rng, roll))


def _direction(rng, direction, side, frame, noise):
    outward, up, forward = np.array(direction) + noise * np.clip(rng.normal(size=3), -2, 2)
    return frame @ np.array([SIDES[side] * outward, up, forward])


def set_arms(rng, skeleton, turned, names, chest, noise=0.13):
    """Points both arms as `names` (left, right) say."""
    for side, name in zip("LR", names):
        upper, lower = (_direction(rng, d, side, chest, noise) for d in ARMS[name])
        forearm = skeleton.aim_limb(turned, "upperarm", side, upper, lower, chest)
        axis = forearm @ skeleton.rest("lowerarm", side)
        twisted = axis_angle(axis, _normal(rng, 35)) @ forearm
        turned[f"wrist.{side}"] = tilt(rng, 12, 12, 12) @ twisted


def set_legs(rng, skeleton, turned, names, pelvis, noise=0.07):
    """Points both legs as `names` (left, right) say; feet on the floor where the shin is upright."""
    for side, name in zip("LR", names):
        upper, lower = (_direction(rng, d, side, pelvis, noise) for d in LEGS[name])
        shin = skeleton.aim_limb(turned, "upperleg", side, upper, lower, pelvis)
        if name not in ("back", "kneel"):
            flat = rotation_y(SIDES[side] * np.deg2rad(rng.uniform(-5, 30)))
            turned[f"foot.{side}"] = flat


def set_fingers(rng, skeleton, local, names):
    for side, name in zip("LR", names):
        curl = rng.uniform(0.5, 1.2) if name in FISTS else abs(rng.normal(0.3, 0.25))
        skeleton.curl(local, side, curl)


def random_arms(rng, choices=ARMS_TOGETHER):
    """Names for left and right arm."""
    if rng.random() < 0.55:
        return (rng.choice(choices),) * 2
    return tuple(rng.choice(list(ARMS) + ["down"] * 5) for _ in "LR")


def everyday(rng, skeleton, seated=False):
    """A standing or seated person's local rotations (bones,3,3), facing +z."""
    pelvis = tilt(rng, 4, 5, 3)
    lean = rotation_x(np.deg2rad(rng.uniform(-3, 14)))
    chest = pelvis @ tilt(rng, 10, 5, 4) @ lean
    head = rotation_y(_normal(rng, 28)) @ rotation_x(np.deg2rad(rng.normal(6, 12))) @ rotation_z(_normal(rng, 6))
    turned = skeleton.trunk(pelvis, chest, head)
    arms = random_arms(rng, ARMS_SEATED) if seated else random_arms(rng)
    legs = (SEATED if seated else STANDING)[rng.integers(len(SEATED if seated else STANDING))]
    set_arms(rng, skeleton, turned, arms, chest)
    set_legs(rng, skeleton, turned, legs, pelvis)
    local = skeleton.local(turned)
    set_fingers(rng, skeleton, local, arms)
    return local
