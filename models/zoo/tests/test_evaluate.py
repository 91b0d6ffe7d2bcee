"""Evaluation from files to report, and the sheets."""

import json
import sys

import cv2
import numpy as np
import pytest

from zoo import contact_sheet, evaluate, inference
from zoo.contact_sheet import PALETTE, Row
from zoo.exported import ExportedModel, ModelError
from zoo.inference import Person
from zoo.tests.body_mesh import write_body
from zoo.tiny_fixture import OUT as TINY


def write_folder(folder, splits=("val",)):
    """Pictures of one person, torso front and right hand, who fills 20, 10, 60, 110."""
    folder.mkdir()
    lines = []
    for number, split in enumerate(splits):
        iuv = np.zeros((120, 80, 3), np.uint8)
        iuv[10:110, 20:40], iuv[10:110, 40:60] = (2, 100, 50), (3, 200, 150)
        cv2.imwrite(str(folder / f"{number}.jpg"), np.full_like(iuv, 90))
        cv2.imwrite(str(folder / f"{number}.iuv.png"), iuv)
        record = {"file": f"{number}.jpg", "iuv": f"{number}.iuv.png", "boxes": [[20, 10, 60, 110]], "complete": True}
        lines.append(json.dumps(record | {"split": split}) + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    return folder


def write_pairs(folder):
    folder.mkdir()
    iuv = np.zeros((40, 40, 3), np.uint8)
    iuv[10:30, 10:30] = (2, 100, 50)
    iuv[0, 0] = (0, 7, 7)  # U and V of nobody
    cv2.imwrite(str(folder / "a_IUV.png"), iuv)
    cv2.imwrite(str(folder / "a.png"), np.full_like(iuv, 90))
    return folder


def oracle(example):
    """Who the labels say is there."""
    x0, y0, x1, y1 = (20, 10, 60, 110) if example.truth.boxes is not None else (10, 10, 30, 30)
    iuv = example.truth.label[y0:y1, x0:x1, :3]
    return [Person((x0, y0, x1, y1), 0.9, x0, y0, x1 - x0, y1 - y0, iuv)]


def judge_perfectly(examples):
    examples = list(examples)
    answers = iter([oracle(example) for example in examples])
    judged, _ = evaluate.judge(lambda rgb: next(answers), examples, None, 0.5)
    return evaluate.summarise([case.result for case in judged]), judged


def test_perfect_predictions_have_perfect_figures(tmp_path):
    summary, judged = judge_perfectly(evaluate.folder_examples(write_folder(tmp_path / "photos", ("val", "train", "val"))))
    assert summary["pictures"] == 2 and summary["people"]["box_ap"] == pytest.approx(1)
    assert summary["people"]["iou"] == summary["picture"]["agreement"] == 1
    assert evaluate.worst_and_best(judged, 0.5).dtype == np.uint8


def test_a_folder_without_validation_pictures_is_taken_whole(tmp_path):
    assert len(list(evaluate.folder_examples(write_folder(tmp_path / "s", ("train", "train"))))) == 2


def test_pairs(tmp_path):
    summary, judged = judge_perfectly(evaluate.pair_examples(write_pairs(tmp_path / "pairs")))
    assert summary["picture"]["iou"] == 1 and summary["people"] is None
    assert not judged[0].example.truth.label[0, 0].any()
    table = evaluate.tables({"pairs": summary})
    assert "BodyPix" in table and "| 0.810 |" in " ".join(table.split())


def test_limit_is_spread():
    assert evaluate.spread(range(10), 4) == [0, 3, 6, 9]
    assert evaluate.spread(range(3), 4) == evaluate.spread(range(3), 0) == [0, 1, 2]


def test_exported_model_finds_what_pytorch_finds():
    reference = np.load(TINY / "reference.npz")
    people = inference.estimate(ExportedModel(TINY), reference["picture"])
    assert [person.box for person in people] == pytest.approx(reference["boxes"], abs=1e-2)
    for index, person in enumerate(people):
        assert (person.iuv[..., 0] == reference[f"iuv_{index}"][..., 0]).mean() > 0.995


def test_broken_models_are_named(tmp_path):
    with pytest.raises(ModelError, match="model.json"):
        ExportedModel(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="not a model"):
        ExportedModel(tmp_path)
    (tmp_path / "model.json").write_text((TINY / "model.json").read_text())
    (tmp_path / "trunk.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="trunk.onnx.*SHA-256"):
        ExportedModel(tmp_path)


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    evaluate.main()


def test_command_line(tmp_path, monkeypatch, capsys):
    photos, pairs, out = write_folder(tmp_path / "photos"), write_pairs(tmp_path / "pairs"), tmp_path / "out"
    body = ("--body", write_body(tmp_path), "--cache", tmp_path / "cache")
    run_main(monkeypatch, TINY, "--photos", photos, "--pairs", pairs, *body, "--out", out, "--short-side", 64)
    assert "foreground IoU" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert set(report["sets"]) == {"photos", "pairs"} and report["settings"]["short_side"] == 64
    assert 0 <= report["sets"]["photos"]["people"]["gps"] <= 1
    assert (out / "report.md").read_text().startswith("# Evaluation of tiny")
    assert cv2.imread(str(out / "photos.png")) is not None and cv2.imread(str(out / "pairs.png")) is not None


def write_people(folder):
    """One picture with an outline by hand, which fills 20, 10, 60, 110."""
    folder.mkdir()
    person = np.zeros((120, 80), np.uint8)
    person[10:110, 20:60] = 1
    cv2.imwrite(str(folder / "a.jpg"), np.full((120, 80, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "a.person.png"), person)
    record = {"file": "a.jpg", "person": "a.person.png", "boxes": [[20, 10, 60, 110]], "complete": True, "mask": "human"}
    (folder / "index.jsonl").write_text(json.dumps(record | {"split": "val"}) + "\n")
    return folder


def write_negatives(folder):
    """Two pictures of lamps, which are held out, and one of a cup, which is not."""
    folder.mkdir()
    lines = []
    for number, category in enumerate(("lamp", "cup", "lamp")):
        cv2.imwrite(str(folder / f"{number}.jpg"), np.full((60, 60, 3), 90, np.uint8))
        lines.append(json.dumps({"file": f"{number}.jpg", "category": category}) + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    return folder


def test_two_networks_are_compared_picture_by_picture(tmp_path, monkeypatch, capsys):
    """One sees the person of every picture, also where nobody is; the other nobody."""
    people, negatives, out = write_people(tmp_path / "people"), write_negatives(tmp_path / "negatives"), tmp_path / "out"
    everywhere = Person((20, 10, 60, 50), 0.9, 20, 10, 40, 40, np.full((40, 40, 3), 2, np.uint8))
    whole = Person((20, 10, 60, 110), 0.9, 20, 10, 40, 100, np.full((100, 40, 3), 2, np.uint8))
    answers = {"sees": lambda rgb: [whole if len(rgb) == 120 else everywhere], "blind": lambda rgb: []}
    monkeypatch.setattr(evaluate, "predictor", lambda source, config, arguments: answers[str(source)])
    sets = ("--people", people, "--negatives", negatives)
    run_main(monkeypatch, "blind", *sets, "--out", out)
    text = capsys.readouterr().out
    assert "| people: found, all" in text and "0.000 [0.000, 0.000]" in text
    for against in ("blind", out / "report.json"):
        run_main(monkeypatch, "sees", "--against", against, *sets)
        lines = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in capsys.readouterr().out.splitlines() if ":" in line and line.startswith("| ")}
        assert lines["people: found, all"] == ["1.000 [1.000, 1.000]", "0.000 [0.000, 0.000]", "1.000 [1.000, 1.000]", "better"]
        assert lines["people: outline IoU"][0] == "1.000 [1.000, 1.000]"
        assert lines["people: false per picture"][3] == "none"
        assert lines["negatives: false per 100 pictures"][0] == "100.000 [100.000, 100.000]"
        assert lines["negatives: pictures with a false person"][3] == "worse"
    run_main(monkeypatch, "sees", *sets, "--out", out)
    assert cv2.imread(str(out / "people.png")) is not None and cv2.imread(str(out / "negatives.png")) is not None
    assert len(json.loads((out / "report.json").read_text())["pictures"]["negatives"]) == 2
    with pytest.raises(SystemExit, match="other pictures of negatives"):
        run_main(monkeypatch, "sees", "--against", out / "report.json", "--negatives", negatives, "--limit", 1)
    (out / "report.json").write_text('{"sets": {}}')
    with pytest.raises(SystemExit, match="report.json: no report.*evaluate again"):
        run_main(monkeypatch, "sees", "--against", out / "report.json", *sets)


@pytest.mark.parametrize("folder", ["--photos", "--pairs", "--people", "--negatives"])
def test_missing_data_is_named(tmp_path, monkeypatch, folder):
    with pytest.raises(SystemExit, match="nowhere"):
        run_main(monkeypatch, TINY, folder, tmp_path / "nowhere")


def test_missing_picture_of_a_pair(tmp_path):
    pairs = write_pairs(tmp_path / "pairs")
    (pairs / "a.png").unlink()
    with pytest.raises(evaluate.InputError, match="a.png or a.jpg"):
        list(evaluate.pair_examples(pairs))


def test_colours():
    iuv = np.array([[[0, 9, 9], [2, 0, 255], [255, 0, 0]]], np.uint8)
    assert contact_sheet.colours(iuv).tolist() == [[[0, 0, 0], PALETTE[2].tolist(), [128, 128, 128]]]
    u, v = contact_sheet.colours(iuv, "u"), contact_sheet.colours(iuv, "v")
    assert not u[0, 0].any() and not np.array_equal(u[0, 1], v[0, 1])
    assert len(np.unique(PALETTE, axis=0)) == 25
    with pytest.raises(ValueError, match="parts, u, v"):
        contact_sheet.colours(iuv, "w")


def test_paint_leaves_the_background_alone():
    rgb = np.full((50, 40, 3), 100, np.uint8)
    iuv = np.full((10, 10, 3), 2, np.uint8)
    iuv[:5] = 0
    painted = contact_sheet.paint(rgb, [Person((5, 5, 15, 15), 0.9, 5, 5, 10, 10, iuv)], boxes=False)
    assert (painted[:10] == 100).all() and (painted[10:15, 5:15] != 100).any(-1).all()
    assert not np.array_equal(contact_sheet.paint(rgb, [Person((5, 5, 15, 15), 0.9, 5, 5, 10, 10, iuv)]), painted)
    assert (rgb == 100).all()


def test_sheet_lines():
    picture = np.zeros((20, 30, 3), np.uint8)
    rows = [Row("first\nsecond line", [picture, picture])] * 5
    narrow, wide = contact_sheet.sheet(rows, width=10, height=20), contact_sheet.sheet(rows, width=5000, height=20)
    assert narrow.shape[0] == 5 * wide.shape[0] and wide.shape[1] == 5 * narrow.shape[1]
    assert (wide == 0).all(-1).sum() >= 5 * 2 * picture[..., 0].size
    assert contact_sheet.sheet([]).ndim == 3
