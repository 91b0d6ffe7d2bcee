"""Random poses: motion files, everyday poses, and joint perturbations."""

import numpy as np

from .body import AssetError, BodyShape
from .mocap import read_asf, read_bvh, read_cmu, read_deepmimic
from .procedural import everyday, random_arms, set_arms, set_fingers, tilt
from .rotations import rotation_y
from .skeleton import NECK, Skeleton

LIVELY = ("backflip", "cartwheel", "crawl", "getup", "roll", "sideflip", "spinkick")
# Standard deviations in degrees of the joint perturbation.
JITTER = {"upperarm01": 9, "lowerarm01": 8, "wrist": 12, "upperleg01": 5, "lowerleg01": 4, "foot": 6,
          "shoulder01": 3}
LOOKS_ASIDE = 0.25  # share of the poses whose head is turned far; clips have few, pictures of backs many


class PoseLibrary:
    """Poses as local rotations (bones,3,3) of the MakeHuman skeleton; the pelvis faces +z."""

    def __init__(self, model, folder=None):
        """`folder`: the assets' `poses` folder; None leaves only everyday poses."""
        self.skeleton = Skeleton(model, model.figure(BodyShape()))
        self.mirror_index = np.array([model.index[mirrored_name(b)] for b in model.bones])
        self.folder = folder
        self.single, self.clips, self.lively = [], [], []
        if folder is not None:
            if not folder.is_dir():
                raise AssetError(f"no poses in {folder}; --assets must name the training data folder")
            self.single = sorted((folder / "makehuman").glob("*.bvh"))
            for path in sorted((folder / "deepmimic").glob("humanoid3d_*.txt")):
                lively = any(word in path.name for word in LIVELY)
                (self.lively if lively else self.clips).append(path)
            self.clips += sorted((folder / "cmu").glob("*.amc"))
        self._motions = {}

    def motion(self, path, stride=5):
        """A clip, read once; long motion capture clips are thinned to every `stride`-th frame."""
        if path not in self._motions:
            if path.suffix == ".bvh":
                motion = read_bvh(path, self.skeleton)
            elif path.suffix == ".amc":
                asf = read_asf(path.with_name(path.name[:2] + ".asf"))
                motion = read_cmu(path, asf, self.skeleton, stride=stride)
            else:
                motion = read_deepmimic(path, self.skeleton)
            self._motions[path] = motion
        return self._motions[path]

    def sample(self, rng, upper_body=False, standing=False):
        """A random pose; `upper_body` prefers what people do in front of a webcam, `standing` is everyday and on two feet."""
        kind = rng.random()
        if standing:
            pose = everyday(rng, self.skeleton)
        elif not self.clips or kind < (0.8 if upper_body else 0.45):
            pose = everyday(rng, self.skeleton, seated=rng.random() < 0.3)
        else:
            paths = self.clips
            if kind > 0.93 and self.lively:
                paths = self.lively
            elif kind < (0.83 if upper_body else 0.52) and self.single:
                paths = self.single
            frames = self.motion(paths[rng.integers(len(paths))]).rotations
            pose = face_forward(frames[rng.integers(len(frames))])
            if rng.random() < 0.25:
                pose = self._other_arms(rng, pose)
            else:
                pose = pose.copy()
                set_fingers(rng, self.skeleton, pose, ("down", "down"))
        if rng.random() < 0.5:
            pose = self.mirrored(pose)
        pose = self.jitter(rng, pose)
        return self.look_aside(rng, pose) if rng.random() < LOOKS_ASIDE else pose

    def look_aside(self, rng, pose):
        """The head turned to one side by 25 to 80 degrees more, an even part in each joint of the neck."""
        pose = pose.copy()
        yaw = np.deg2rad(rng.uniform(25, 80)) * rng.choice([-1, 1])
        for bone in NECK:
            bone = self.skeleton.index[bone]
            pose[bone] = rotation_y(yaw / len(NECK)) @ pose[bone]
        return pose

    def _other_arms(self, rng, pose):
        """Replaces the arms of a clip's pose by everyday ones."""
        turned = {}
        world = np.empty_like(pose)
        for bone, parent in enumerate(self.skeleton.parents):
            world[bone] = pose[bone] if parent < 0 else world[parent] @ pose[bone]
            turned[self.skeleton.bones[bone]] = world[bone]
        for bone in list(turned):
            if bone.startswith(("finger", "metacarpal", "wrist", "lowerarm", "upperarm")):
                del turned[bone]
        arms = random_arms(rng)
        set_arms(rng, self.skeleton, turned, arms, turned["spine01"])
        local = self.skeleton.local(turned)
        set_fingers(rng, self.skeleton, local, arms)
        return local

    def jitter(self, rng, pose, amount=1.0):
        """Small random turns of the joints."""
        pose = pose.copy()
        for name, degrees in JITTER.items():
            for side in "LR":
                bone = self.skeleton.index[f"{name}.{side}"]
                pose[bone] = tilt(rng, *(3 * [degrees * amount])) @ pose[bone]
        for name, degrees in (("spine03", 5), ("spine01", 4), ("neck02", 8), ("head", 7)):
            bone = self.skeleton.index[name]
            pose[bone] = tilt(rng, degrees * amount, degrees * amount / 2, degrees * amount / 2) @ pose[bone]
        return pose

    def mirrored(self, pose):
        """The pose with left and right exchanged."""
        flip = np.diag([-1.0, 1, 1])
        return flip @ pose[self.mirror_index] @ flip


def mirrored_name(bone):
    """'upperarm01.L' <-> 'upperarm01.R'."""
    return bone[:-1] + {"L": "R", "R": "L"}[bone[-1]] if bone.endswith((".L", ".R")) else bone


def face_forward(pose):
    """Removes the heading of the pelvis; figures lying on the floor keep theirs."""
    forward = pose[0] @ np.array([0, 0, 1.0])
    if np.hypot(forward[0], forward[2]) < 0.4:
        return pose
    pose = pose.copy()
    pose[0] = rotation_y(-np.arctan2(forward[0], forward[2])) @ pose[0]
    return pose
