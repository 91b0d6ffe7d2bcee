"""Reading, mirroring and composing labelled pictures."""

import json

import cv2
import numpy as np
import pytest

from zoo import augment, data
from zoo.augment import BODY, IGNORE, SOMEBODY, UNKNOWN, photograph


def random_label(rng, size=(40, 30)):
    label = rng.integers(0, 256, (*size, 4), dtype=np.uint8)
    label[..., 0] = rng.choice([*range(25), IGNORE], size)
    return label


def write_picture(folder, name="a", size=(120, 80), **changes):
    """A picture with a person of torso (left half) and left hand (right half) in the box 20, 10, 60, 110."""
    height, width = size
    image = np.full((height, width, 3), 90, np.uint8)
    iuv = np.zeros((height, width, 3), np.uint8)
    iuv[10:110, 20:40] = (2, 100, 50)
    iuv[10:110, 40:60] = (4, 200, 150)
    cv2.imwrite(str(folder / f"{name}.jpg"), image)
    cv2.imwrite(str(folder / f"{name}.iuv.png"), iuv)
    record = {"file": f"{name}.jpg", "iuv": f"{name}.iuv.png", "boxes": [[20, 10, 60, 110]], "ignore_boxes": [], "complete": True}
    with (folder / "index.jsonl").open("a") as index:
        index.write(json.dumps(record | changes) + "\n")
    return folder


def test_mirroring_twice_changes_nothing():
    label = random_label(np.random.default_rng(0))
    assert np.array_equal(augment.mirror_label(augment.mirror_label(label)), label)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 10, 20), (1, 10, 235)),  # torso: V turns
        ((2, 10, 20), (2, 10, 235)),
        ((3, 10, 20), (4, 245, 20)),  # right hand: left hand, U turns
        ((5, 10, 20), (6, 245, 20)),
        ((23, 10, 20), (24, 245, 20)),
        ((7, 10, 20), (8, 10, 20)),  # limbs: only the side changes
        ((10, 10, 20), (9, 10, 20)),
        ((15, 10, 20), (16, 10, 20)),
        ((22, 10, 20), (21, 10, 20)),
        ((0, 0, 0), (0, 0, 0)),
        ((IGNORE, 0, 0), (IGNORE, 0, 0)),
    ],
)
def test_mirror_rules(before, after):
    label = np.zeros((1, 3, 4), np.uint8)
    label[0, 0] = (*before, 7)
    mirrored = augment.mirror_label(label)
    assert tuple(mirrored[0, 2]) == (*after, 7)
    assert not mirrored[0, :2].any()


def test_warp_moves_picture_and_label_together():
    image = np.zeros((60, 60, 3), np.uint8)
    image[20:40, 10:30] = 255
    label = np.zeros((60, 60, 4), np.uint8)
    label[20:40, 10:30] = (2, 9, 9, 1)
    matrix = augment.view_matrix(2.0, 0.0, (20, 30), (50, 50))
    seen, marked, covered = augment.warp(image, label, matrix, (100, 100))
    assert data.person_box(marked, 1).tolist() == [30, 30, 70, 70]
    assert seen[32:68, 32:68].min() > 250 and seen[:28].max() < 5
    assert covered.min() == 0 and covered[50, 50] == 255


def test_photograph_keeps_size_and_type():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for _ in range(40):
        result = augment.photograph(image.copy(), rng)
        assert result.shape == image.shape and result.dtype == np.uint8


def test_who_is_cut_out_has_no_fringe_of_the_old_background():
    image = np.full((40, 30, 3), (0, 255, 0), np.uint8)
    image[10:30, 8:22] = (200, 40, 40)
    image[9:31, 7:23][[0, -1]] = (100, 148, 20)  # half cloth, half meadow
    image[9:31, 7:23][:, [0, -1]] = (100, 148, 20)
    mask = np.zeros((40, 30), np.uint8)
    mask[9:31, 7:23] = 255
    clean = augment.own_colours(image, mask)
    assert np.allclose(clean[mask > 0], (200, 40, 40), atol=0.1)
    assert np.array_equal(clean[:6], image[:6]), "far from the border nothing changes"
    thin = np.zeros((40, 30), np.uint8)
    thin[:, 5] = 255
    assert np.array_equal(augment.own_colours(image, thin), image), "what has no inside stays as it is"


def test_owner_channel_of_incomplete_photos(tmp_path):
    write_picture(tmp_path, complete=False, ignore_boxes=[[50, 0, 80, 40]])
    picture = data.load(data.read_index(tmp_path)[0])
    whose = picture.label[..., 3]
    assert whose[100, 70] == UNKNOWN  # nobody looked there
    assert whose[20, 70] == SOMEBODY
    assert whose[20, 55] == 1  # the labelled person's own pixel wins
    assert picture.uv_weight == data.TEACHER_UV_WEIGHT


def test_instance_map_separates_overlapping_people(tmp_path):
    person = np.zeros((120, 80), np.uint8)
    person[10:110, 20:40], person[10:110, 40:60] = 1, 2
    cv2.imwrite(str(tmp_path / "a.person.png"), person)
    boxes = [[20, 10, 40, 110], [40, 10, 60, 110]]
    write_picture(tmp_path, person="a.person.png", boxes=boxes, source="synthetic")
    picture = data.load(data.read_index(tmp_path)[0])
    assert [data.person_box(picture.label, n).tolist() for n in (1, 2)] == boxes
    assert picture.uv_weight == 1.0


def test_people_hidden_behind_others_are_not_positives(tmp_path):
    picture = data.load(data.read_index(write_picture(tmp_path))[0])
    canvas = data.Canvas.over(np.zeros((120, 80, 3), np.uint8))
    stay = np.array([[1.0, 0, 0], [0, 1, 0]])
    canvas.place(picture, stay, (0, 0, 80, 120))
    canvas.place(picture, stay + [[0, 0, 1], [0, 0, 1]], (0, 0, 80, 120), cut_out=True)
    scene = canvas.finish()
    assert scene.ids.tolist() == [2]
    assert scene.boxes.tolist() == [[21, 11, 61, 111]]
    sliver = scene.label[10, 20]
    assert (sliver[0], sliver[3]) == (IGNORE, SOMEBODY)


def test_pieces_of_people_need_a_head(tmp_path):
    """A fifth of a body is somebody with the head in it, and open without."""
    for head in (False, True):
        picture = data.load(data.read_index(write_picture(tmp_path))[0])
        picture.label[10:110, 20:60, 0] = 2
        picture.label[10:15, 20:60, 0] = 23 if head else 2
        canvas = data.Canvas.over(np.zeros((120, 80, 3), np.uint8))
        canvas.place(picture, np.array([[1.0, 0, 0], [0, 1, 0]]), (0, 0, 80, 120))
        canvas.cover(np.arange(120)[:, None].repeat(80, 1) >= 30, np.zeros((120, 80, 3), np.uint8))
        scene = canvas.finish()
        assert len(scene.boxes) == head
        assert scene.label[20, 30, 3] == (1 if head else SOMEBODY)


def test_batches_are_a_function_of_seed_and_number(tmp_path):
    collection = data.Collection([write_picture(tmp_path)])
    one, two = (data.SceneBatches(collection, 2, seed=5)[3] for _ in range(2))
    other = data.SceneBatches(collection, 2, seed=5)[4]
    assert (one.images == two.images).all() and (one.labels == two.labels).all()
    assert one.images.shape != other.images.shape or (one.images != other.images).any()


def test_boxes_are_tight_in_composed_scenes(tmp_path):
    collection = data.Collection([write_picture(tmp_path)])
    rng, people = np.random.default_rng(2), 0
    for _ in range(20):
        scene = data.compose(collection, (96, 128), rng)
        for box, number in zip(scene.boxes, scene.ids):
            assert data.person_box(scene.label, number).tolist() == box.tolist()
            people += 1
        assert set(np.unique(scene.label[..., 0])) <= {0, 2, 3, 4, IGNORE}
    assert people > 15


def test_shards_are_found_while_running(tmp_path):
    photos, shards = tmp_path / "photos", tmp_path / "shards"
    photos.mkdir()
    collection = data.Collection([write_picture(photos)], [shards])
    assert not collection.synthetic
    (shards / "0001").mkdir(parents=True)
    write_picture(shards / "0001", source="synthetic")
    collection.refresh()
    collection.refresh()
    assert len(collection.synthetic) == 1
    write_picture(shards / "0001", "b", source="synthetic")
    with (shards / "0001" / "index.jsonl").open("a") as index:
        index.write('{"file": "half a li')
    collection.refresh()
    assert [entry.image.name for entry in collection.synthetic] == ["a.jpg", "b.jpg"]


def test_every_loader_finds_new_shards_whatever_numbers_it_gets(tmp_path, monkeypatch):
    """Of two processes one is only asked for odd numbers."""
    dataset = data.SceneBatches(data.Collection([write_picture(tmp_path)]), 1, 0, shapes=[(32, 32)], refresh_every=3)
    refreshed = []
    monkeypatch.setattr(dataset.collection, "refresh", lambda: refreshed.append(True))
    for number in range(1, 15, 2):
        dataset[number]
    assert len(refreshed) == 3


def outlines_only(folder, **changes):
    """`write_picture` with a ``person`` map instead of parts: somebody in rows 10..110, columns 20..58, a soft edge to column 60."""
    person = np.zeros((120, 80), np.uint8)
    person[10:110, 20:58], person[10:110, 58:60] = 1, 255
    cv2.imwrite(str(folder / "a.person.png"), person)
    return write_picture(folder, iuv=None, person="a.person.png", facing=["back"], **changes)


def test_outlines_without_parts_are_labels(tmp_path):
    picture = data.load(data.read_index(outlines_only(tmp_path, ignore_boxes=[[50, 100, 80, 120]]))[0])
    label = picture.label
    assert label[50, 30].tolist() == [BODY, 0, 0, 1]
    assert (label[50, 59, 0], label[50, 59, 3]) == (IGNORE, UNKNOWN)
    assert (label[105, 59, 0], label[105, 59, 3]) == (IGNORE, SOMEBODY)
    assert label[50, 10].tolist() == [0, 0, 0, 0]
    assert data.person_box(label, 1).tolist() == [20, 10, 58, 110]
    mirrored = augment.mirror_label(label)
    assert mirrored[50, 80 - 1 - 30].tolist() == [BODY, 0, 0, 1]


def test_rare_views_of_many_people_are_drawn_more_often(tmp_path):
    weights = []
    for number, changes in enumerate(({"facing": ["front"]}, {"facing": ["front", "back"]}, {"facing": ["side"], "headless": [True]})):
        write_picture(tmp_path, str(number), **changes)
        weights.append(data.read_index(tmp_path)[-1].weight)
    assert weights == [1.0, 2.0, 4.0]
    write_picture(tmp_path, "h", facing=["front"], mask="human")
    assert data.read_index(tmp_path)[-1].weight == 1.5


def negatives_folder(folder):
    """Two green pictures of things, one of them of a category that is kept out of training (red)."""
    folder.mkdir()
    for name, category, colour in (("cup", "cup", (0, 200, 0)), ("lamp", "lamp", (0, 0, 200))):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((60, 60, 3), colour, np.uint8))
        with (folder / "index.jsonl").open("a") as index:
            index.write(json.dumps({"file": f"{name}.png", "category": category}) + "\n")
    return folder


def test_scenes_without_people_show_negatives_that_are_not_held_out(tmp_path, monkeypatch):
    folder = negatives_folder(tmp_path / "negatives")
    (tmp_path / "photos").mkdir()
    scenery = data.Scenery(empty=1.0, furnished=0.0, hidden=0.0)
    collection = data.Collection([write_picture(tmp_path / "photos")], negative_folders=[folder], scenery=scenery)
    monkeypatch.setattr(augment, "photograph", lambda image, rng, flawed=False: image)
    for seed in range(30):
        scene = data.compose(collection, (96, 128), np.random.default_rng(seed))
        assert not len(scene.boxes) and not scene.label.any()
        assert (scene.image == (0, 200, 0)).all(), "cups, no lamps"
    lively = data.Collection([tmp_path / "photos"], negative_folders=[folder])
    empty = [not len(data.compose(lively, (96, 128), np.random.default_rng(seed)).boxes) for seed in range(100)]
    assert 20 <= sum(empty) <= 50  # 30 %, and scenes in which people are too small or hidden


def test_renders_get_no_second_camera(tmp_path, monkeypatch):
    flaws = []
    monkeypatch.setattr(augment, "photograph", lambda image, rng, flawed=False: flaws.append(flawed) or image)
    still = {name: 0.0 for name in ("dressed", "mosaic", "pasted", "furnished", "hidden")}
    for kind in ("synthetic", "other"):
        folder = tmp_path / kind
        folder.mkdir()
        collection = data.Collection([write_picture(folder, source=kind)], scenery=data.Scenery(**still))
        for seed in range(5):
            data.compose(collection, (96, 128), np.random.default_rng(seed))
    assert all(flaws[:4]) and not any(flaws[5:])
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for seed in range(20):  # tone changes every pixel alike, so equal ones stay equal
        twice = np.hstack([image, image])
        left, right = np.hsplit(photograph(twice, np.random.default_rng(seed), flawed=True), 2)
        assert np.array_equal(left, right)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(data.DataError, match="index.jsonl"):
        data.read_index(tmp_path)
    write_picture(tmp_path)
    entry = data.read_index(tmp_path)[0]
    entry.image.write_bytes(b"not a picture")
    with pytest.raises(data.DataError, match="a.jpg"):
        data.load(entry)
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"file": "b.jpg"}\n')
    with pytest.raises(data.DataError, match="index.jsonl:2.*iuv"):
        data.read_index(tmp_path)


def test_label_of_another_size_or_with_strange_parts_is_refused(tmp_path):
    entry = data.read_index(write_picture(tmp_path))[0]
    cv2.imwrite(str(entry.iuv), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(data.DataError, match="a.iuv.png: is 5x5"):
        data.load(entry)
    cv2.imwrite(str(entry.iuv), np.full((120, 80, 3), 99, np.uint8))
    with pytest.raises(data.DataError, match="a.iuv.png: part 99"):
        data.load(entry)


def test_no_pictures_at_all_is_an_error(tmp_path):
    with pytest.raises(data.DataError, match="no labelled train pictures"):
        data.Collection([], [tmp_path])


@pytest.mark.parametrize(("mosaic", "most", "least"), [(0.0, 1, 1), (1.0, 4, 2)])
def test_mosaics_are_as_frequent_as_the_scenery_has_them(tmp_path, monkeypatch, mosaic, most, least):
    scenery = data.Scenery(dressed=0, mosaic=mosaic, pasted=0, furnished=0, hidden=0)
    collection = data.Collection([write_picture(tmp_path)], scenery=scenery)
    monkeypatch.setattr(data, "STUDIO_SHARE", 0.0)
    shown = []
    monkeypatch.setattr(data.Canvas, "place", lambda self, *_args, **_options: shown[-1].append(1))
    for seed in range(40):
        shown.append([])
        data.compose(collection, (96, 128), np.random.default_rng(seed))
    numbers = [len(scene) for scene in shown]
    assert max(numbers) == most
    assert sorted(numbers)[20] >= least
