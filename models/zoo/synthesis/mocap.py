"""Readers of motion files and their transfer to the MakeHuman skeleton.

Each reader yields, per frame, global rotations of the source's bones relative to its own rest pose
in our axes (y up, z forward, left +x). A limb is transferred by first turning our rest direction
onto the source's, then applying the source's rotation.
"""

import json
from dataclasses import dataclass

import numpy as np

from .body import AssetError
from .rotations import from_quaternion, rotation_x, rotation_y, rotation_z, shortest_arc, fraction
from .skeleton import SIDES

AXES = {"X": rotation_x, "Y": rotation_y, "Z": rotation_z}


@dataclass(frozen=True)
class Motion:
    """A clip in terms of our skeleton."""

    rotations: np.ndarray  # (frames, bones, 3, 3) local, world-aligned
    root: np.ndarray  # (frames, 3) place of the pelvis in units of the source's leg length
    period: float  # seconds per frame


def read_text(path):
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise AssetError(f"motion {path}: {error}; check the --assets folder") from error


def read_bvh(path, skeleton):
    """Motion of a BVH file over the default MakeHuman skeleton (z up, as MakeHuman exports)."""
    names, channels, words = [], [], read_text(path).split()
    position = 0
    while words[position] != "MOTION":
        if words[position] in ("ROOT", "JOINT"):
            names.append(words[position + 1])
        elif words[position] == "CHANNELS":
            count = int(words[position + 1])
            channels.append(words[position + 2:position + 2 + count])
        position += 1
    frames = int(words[position + 2])
    period = float(words[position + 5])
    values = np.array(words[position + 6:], float).reshape(frames, -1)
    upright = rotation_x(-np.pi / 2)  # z up -> y up
    rotations = []
    for row in values:
        local, at = skeleton.identity(), 0
        for name, kinds in zip(names, channels):
            turn = np.eye(3)
            for kind in kinds:
                if kind.endswith("rotation"):
                    turn = turn @ AXES[kind[0]](np.deg2rad(row[at]))
                at += 1
            if name in skeleton.index:
                local[skeleton.index[name]] = upright @ turn @ upright.T
        rotations.append(local)
    return Motion(np.array(rotations), np.zeros((frames, 3)), period)


# DeepMimic: x forward, y up, z right; joints in the order of the frame's numbers.
DEEPMIMIC_AXES = np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]])
DEEPMIMIC_JOINTS = (
    ("root", None, 4), ("chest", "root", 4), ("neck", "chest", 4),
    ("hip.R", "root", 4), ("knee.R", "hip.R", 1), ("ankle.R", "knee.R", 4),
    ("shoulder.R", "chest", 4), ("elbow.R", "shoulder.R", 1),
    ("hip.L", "root", 4), ("knee.L", "hip.L", 1), ("ankle.L", "knee.L", 4),
    ("shoulder.L", "chest", 4), ("elbow.L", "shoulder.L", 1),
)
DEEPMIMIC_LEG = 0.83  # metres from hip to ankle


def read_deepmimic(path, skeleton):
    """Motion of a DeepMimic JSON clip (humanoid3d)."""
    clip = np.array(json.loads(read_text(path))["Frames"], float)
    down = np.array([0, -1.0, 0])
    rotations = []
    for row in clip:
        world, at = {}, 4
        for name, parent, size in DEEPMIMIC_JOINTS:
            turn = from_quaternion(row[at:at + 4]) if size == 4 else rotation_z(row[at])
            world[name] = (world[parent] if parent else np.eye(3)) @ turn
            at += size
        world = {n: DEEPMIMIC_AXES @ g @ DEEPMIMIC_AXES.T for n, g in world.items()}
        turned = skeleton.trunk(world["root"], world["chest"], world["neck"])
        for side in SIDES:
            above = {"upperarm": world["chest"], "upperleg": world["root"]}
            for segment, joint in (("upperarm", "shoulder"), ("lowerarm", "elbow"),
                                   ("upperleg", "hip"), ("lowerleg", "knee")):
                align = shortest_arc(skeleton.rest(segment, side), down)
                rotation = world[f"{joint}.{side}"] @ align
                parent = above.get(segment) if segment in above else previous
                skeleton.limb(turned, segment, side, rotation, parent)
                previous = rotation
            turned[f"foot.{side}"] = world[f"ankle.{side}"]
        rotations.append(skeleton.local(turned))
    root = clip[:, 1:4] @ DEEPMIMIC_AXES.T / DEEPMIMIC_LEG
    return Motion(np.array(rotations), root, float(clip[0, 0]))


def read_asf(path):
    """Bones of an ASF skeleton: name -> (parent, direction, axis rotation, degrees of freedom, length)."""
    text = read_text(path)
    bones = {"root": (None, np.zeros(3), np.eye(3), "", 0.0)}
    for block in text.split(":bonedata")[1].split(":hierarchy")[0].split("begin")[1:]:
        fields = {w[0]: w[1:] for w in (line.split() for line in block.splitlines()) if w}
        x, y, z = (np.deg2rad(float(v)) for v in fields["axis"][:3])
        axis = rotation_z(z) @ rotation_y(y) @ rotation_x(x)
        direction = np.array(fields["direction"], float)
        dof = "".join(d[1].upper() for d in fields.get("dof", []))
        bones[fields["name"][0]] = (None, direction, axis, dof, float(fields["length"][0]))
    ordered = {"root": bones["root"]}
    for line in text.split(":hierarchy")[1].splitlines():
        words = line.split()
        if len(words) > 1:
            for child in words[1:]:
                ordered[child] = (words[0], *bones[child][1:])
    return ordered


CMU_SEGMENTS = {"upperarm": "humerus", "lowerarm": "radius", "upperleg": "femur", "lowerleg": "tibia"}


def read_cmu(path, asf, skeleton, period=0.1, stride=1):
    """Motion of an AMC clip with the bones of `read_asf`; every `stride`-th frame."""
    frames, current = [], None
    for line in read_text(path).splitlines():
        words = line.split()
        if len(words) == 1 and words[0].isdigit():
            current = {}
            frames.append(current)
        elif current is not None and words:
            current[words[0]] = np.array(words[1:], float)
    leg = asf["lfemur"][4] + asf["ltibia"][4]
    rotations, root = [], []
    for values in frames[::stride]:
        world = {}
        for name, (parent, _, axis, dof, _) in asf.items():
            numbers = values.get(name, ())
            if parent is None:
                root.append(numbers[:3] / leg)
                numbers, dof = numbers[3:], "XYZ"
            turn = np.eye(3)
            for kind, angle in zip(dof, numbers):
                turn = AXES[kind](np.deg2rad(angle)) @ turn
            world[name] = (world[parent] if parent else np.eye(3)) @ axis @ turn @ axis.T
        rotations.append(skeleton.local(_cmu_pose(world, asf, skeleton)))
    return Motion(np.array(rotations), np.array(root), period * stride)


def _cmu_pose(world, asf, skeleton):
    turned = skeleton.trunk(world["root"], world["thorax"], world["head"])
    for side in SIDES:
        letter = side.lower()
        for segment, bone in CMU_SEGMENTS.items():
            direction = asf[letter + bone][1]
            align = shortest_arc(skeleton.rest(segment, side), direction)
            above = {"upperarm": world["thorax"], "upperleg": world["root"]}.get(segment)
            rotation = world[letter + bone] @ align
            skeleton.limb(turned, segment, side, rotation, previous if above is None else above)
            previous = rotation
        hand_align = shortest_arc(skeleton.rest("hand", side), asf[letter + "hand"][1])
        elbow = turned[f"lowerarm02.{side}"]
        hand = world[letter + "hand"] @ hand_align
        turned[f"wrist.{side}"] = elbow @ fraction(elbow.T @ hand, 0.7)
        foot_align = shortest_arc(skeleton.rest("foot", side), asf[letter + "foot"][1])
        turned[f"foot.{side}"] = world[letter + "foot"] @ foot_align
    return turned
