"""Things cut out of pictures without people."""

import json

import cv2
import numpy as np

from zoo import cutouts


def meadow(size=(120, 160)):
    rng = np.random.default_rng(0)
    return np.clip(np.array([40, 160, 60]) + rng.normal(0, 8, (*size, 3)), 0, 255).astype(np.uint8)


def with_thing(colour=(30, 40, 200), radius=30):
    image = meadow()
    cv2.circle(image, (80, 60), radius, colour, -1)
    return image


def test_what_stands_out_is_cut_out_and_cropped():
    found = cutouts.cut_out(with_thing())
    assert found.shape[2] == 4 and all(abs(side - 61) <= 4 for side in found.shape[:2])
    inside = found[..., 3] == 255
    assert set(np.unique(found[..., 3])) <= {0, 255}
    assert abs(inside.sum() - np.pi * 30**2) < 0.06 * np.pi * 30**2
    assert (found[inside][:, 2] > 150).mean() > 0.97, "the thing's colour"


def test_specks_and_pictures_without_a_thing_are_left_out():
    assert cutouts.cut_out(with_thing(radius=8)) is None
    assert cutouts.cut_out(np.full((60, 60, 3), 90, np.uint8)) is None


def test_folder(tmp_path, capsys):
    source, out = tmp_path / "negatives", tmp_path / "out"
    source.mkdir()
    lines = []
    for number, category in enumerate(("cup", "lamp", "chair")):  # lamps are held out
        cv2.imwrite(str(source / f"{number}.png"), with_thing())
        lines.append(json.dumps({"file": f"{number}.png", "category": category}) + "\n")
    (source / "index.jsonl").write_text("".join(lines))
    for _ in range(2):
        assert cutouts.main(["--negatives", str(source), "--out", str(out)]) == 0
        assert capsys.readouterr().out == "2 things in 2 pictures\n"
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "2.png"]
    assert cv2.imread(str(out / "0.png"), cv2.IMREAD_UNCHANGED).shape[2] == 4
    (source / "2.png").write_bytes(b"nothing")
    (out / "2.png").unlink()
    assert cutouts.main(["--negatives", str(source), "--out", str(out)]) == 1
    assert "2.png: missing, or not a picture" in capsys.readouterr().err
