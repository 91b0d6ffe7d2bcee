"""Poses of the MakeHuman skeleton written as the global directions or rotations of few bones."""

import numpy as np

from .rotations import axis_angle, fraction, frame, shortest_arc

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
SIDES = {"L": 1.0, "R": -1.0}  # sign of x on the person's left and right
# Limb segments: bones that turn together, and the joint where the segment ends.
SEGMENTS = {
    "upperarm": (("upperarm01", "upperarm02"), "lowerarm01"),
    "lowerarm": (("lowerarm01", "lowerarm02"), "wrist"),
    "upperleg": (("upperleg01", "upperleg02"), "lowerleg01"),
    "lowerleg": (("lowerleg01", "lowerleg02"), "foot"),
}


class Skeleton:
    """Rest directions of the bones and conversions from global to local rotations."""

    def __init__(self, model, figure):
        self.index, self.parents, self.bones = model.index, model.parents, model.bones
        self.heads, self.tails = figure.heads, figure.tails

    def rest(self, segment, side):
        """Rest direction (3,) of a limb segment, 'hand' or 'foot' on side 'L' or 'R'."""
        if segment == "hand":
            return self._unit(f"wrist.{side}", f"finger3-1.{side}")
        if segment == "foot":
            return self._unit(f"foot.{side}", f"toe2-1.{side}")
        bones, end = SEGMENTS[segment]
        return self._unit(f"{bones[0]}.{side}", f"{end}.{side}")

    def _unit(self, start, end):
        vector = self.heads[self.index[end]] - self.heads[self.index[start]]
        return vector / np.linalg.norm(vector)

    def identity(self):
        return np.tile(np.eye(3), (len(self.bones), 1, 1))

    def local(self, turned):
        """Local rotations (bones,3,3) from a dict bone -> global rotation; others follow their parent."""
        world = np.empty((len(self.bones), 3, 3))
        local = self.identity()
        for bone, parent in enumerate(self.parents):
            above = world[parent] if parent >= 0 else np.eye(3)
            world[bone] = turned.get(self.bones[bone], above)
            local[bone] = above.T @ world[bone]
        return local

    def trunk(self, pelvis, chest, head):
        """Global rotations of spine and neck, bent evenly from pelvis over chest to head."""
        turned = {"root": pelvis}
        for bones, start, end in ((SPINE, pelvis, chest), (NECK, chest, head)):
            for k, bone in enumerate(bones, 1):
                turned[bone] = start @ fraction(start.T @ end, k / len(bones))
        return turned

    def limb(self, turned, segment, side, rotation, above):
        """Sets a segment to a global rotation; its first bone takes half of the twist."""
        first, second = (f"{bone}.{side}" for bone in SEGMENTS[segment][0])
        direction = rotation @ self.rest(segment, side)
        swing = shortest_arc(above @ self.rest(segment, side), direction) @ above
        turned[first] = swing @ fraction(swing.T @ rotation, 0.5)
        turned[second] = rotation

    def aim_limb(self, turned, upper, side, upper_direction, lower_direction, above):
        """Points arm ('upperarm') or leg ('upperleg') along global directions, its joint as a hinge.

        `above` is the rotation of chest or pelvis. Elbows bend to the front, knees to the back.
        """
        lower = "lowerarm" if upper == "upperarm" else "lowerleg"
        bend_at_rest = np.array([0, 0, 1.0 if upper == "upperarm" else -1.0])
        rest_upper, rest_lower = self.rest(upper, side), self.rest(lower, side)
        upper_direction = np.asarray(upper_direction, float) / np.linalg.norm(upper_direction)
        lower_direction = np.asarray(lower_direction, float) / np.linalg.norm(lower_direction)
        rotation = shortest_arc(above @ rest_upper, upper_direction) @ above
        bend = lower_direction - upper_direction * (lower_direction @ upper_direction)
        amount = np.clip((np.linalg.norm(bend) - 0.1) / 0.3, 0, 1)
        if amount > 0:
            hinged = frame(upper_direction, bend) @ frame(rest_upper, bend_at_rest).T
            rotation = rotation @ fraction(rotation.T @ hinged, amount)
        self.limb(turned, upper, side, rotation, above)
        lower_rotation = shortest_arc(rotation @ rest_lower, lower_direction) @ rotation
        self.limb(turned, lower, side, lower_rotation, rotation)
        return lower_rotation

    def curl(self, local, side, angle, thumb=0.3):
        """Bends the fingers of a hand towards the palm by `angle` per joint (changes `local`)."""
        wrist, index, little = (
            self.heads[self.index[f"{b}.{side}"]] for b in ("wrist", "finger2-1", "finger5-1")
        )
        palm = np.cross(index - wrist, little - wrist) * SIDES[side]
        for finger in range(1, 6):
            share = thumb if finger == 1 else 1.0
            for joint in range(1, 4):
                bone = self.index[f"finger{finger}-{joint}.{side}"]
                direction = self.tails[bone] - self.heads[bone]
                local[bone] = axis_angle(np.cross(direction, palm), angle * share) @ local[bone]
