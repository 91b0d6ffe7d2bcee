"""Scenes as fashion catalogues and street photographs have them: somebody standing, whole, mostly from behind or aside.

Photographs with labels show almost nobody so; half of these people wear dresses and skirts, under which legs have to be
guessed from feet, gait and where the body looks.
"""

import numpy as np

from ..studio import backdrop
from .assets import pooled_shape
from .camera import Camera
from .effects import develop
from .people import build, random_look
from .render import render
from .scene import finish, random_background, random_light


def catalogue_scene(assets, rng, width, height):
    """A `Scene` of one person; `rng` (numpy Generator) decides everything."""
    background = backdrop((height, width), rng) if rng.random() < 0.4 else random_background(assets, rng, width, height)
    skirt = rng.random() < 0.5
    shape = pooled_shape(rng)
    while skirt and shape.gender >= 0.5:
        shape = pooled_shape(rng)
    look = random_look(assets, rng, 256, shape, painted_share=0.0 if skirt else 0.35, skirt=skirt)
    pose = assets.poses.sample(rng, standing=rng.random() < 0.7)
    yaw = rng.uniform(70, 290) if rng.random() < 0.8 else rng.uniform(-70, 70)  # degrees; 180 is from behind
    person = build(assets, look, pose, 1, np.deg2rad(yaw))
    tall = max(person.high[1], 0.6)
    focal = height / 2 / np.tan(np.deg2rad(rng.uniform(12, 40)) / 2)
    distance = np.exp(rng.uniform(np.log(1.03), np.log(1.7))) * tall * focal / height
    pitch = np.deg2rad(rng.normal(4, 5))
    aim = np.array([0, rng.uniform(0.44, 0.56) * tall, 0])
    centre = (width * rng.uniform(0.35, 0.65), height / 2)
    camera = Camera.aimed(aim, distance, pitch, focal, centre)
    result = render(
        list(person.meshes), {1: person.body}, assets.surface, camera, random_light(rng, background), background,
        shadows=rng.random() < 0.8, floor=0.0 if rng.random() < 0.5 else None, floor_strength=rng.uniform(0.1, 0.5))
    return finish(develop(rng, result.linear), result.iuv, result.person, 1)
