import base64
import json

import cv2
import numpy as np
import pytest

from zoo import flicker

SIZE = 64


def picture(shift):
    """A textured gray frame whose content moves to the right by `shift` pixels."""
    rng = np.random.default_rng(1)
    big = cv2.resize(rng.integers(0, 255, (24, 40), dtype=np.uint8), (160, 96), interpolation=cv2.INTER_CUBIC)
    return big[:SIZE, 40 - shift : 40 - shift + SIZE].copy()


def person(shift, part):
    parts = np.zeros((SIZE, SIZE), np.uint8)
    parts[16:48, 16 + shift : 40 + shift] = part
    return parts, {1: np.array([16 + shift, 16, 40 + shift, 48], float)}


def measured(frames):
    meter = flicker.Meter()
    for gray, (parts, boxes) in frames:
        meter.add(gray, parts, boxes)
    return meter.result()


def test_motion_is_no_flicker():
    result = measured((picture(k), person(k, 2)) for k in range(6))
    assert result["frames"] == 6 and result["blinking"] == 0 and result["shaking"] == 0 and result["lost"] == 0
    assert result["changed"] < 6  # the trailing edge at most


def test_a_part_that_comes_and_goes_is_flicker():
    result = measured((picture(k), person(k, 2 if k != 3 else 1)) for k in range(6))
    assert result["changed"] > 30 and result["blinking"] > 20


def test_a_part_that_changes_for_good_does_not_blink():
    result = measured((picture(k), person(k, 2 if k < 3 else 1)) for k in range(6))
    assert result["changed"] > 15 and result["blinking"] == 0


def test_boxes_that_shake_and_ids_that_end():
    def frame(k):
        parts, boxes = person(0, 2)
        number = 1 if k < 4 else 2
        return picture(0), (parts, {number: boxes[1] + (k % 2)})

    result = measured(frame(k) for k in range(8))
    assert result["shaking"] > 4 and result["lost"] == pytest.approx(100 / 8)


def line(shift=0, **changes):
    iuv = np.zeros((32, 24, 3), np.uint8)
    iuv[..., 2] = 2
    png = base64.b64encode(cv2.imencode(".png", iuv)[1].tobytes()).decode()
    people = [{"id": 1, "score": 0.9, "box": [16 + shift, 16, 24, 32], "iuv": png}]
    return json.dumps({"version": 1, "width": SIZE, "height": SIZE, "persons": people} | changes) + "\n"


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (SIZE, SIZE))
    for k in range(4):
        writer.write(cv2.cvtColor(picture(k), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_a_video_and_its_people(tmp_path, video, capsys):
    people = tmp_path / "people.jsonl"
    people.write_text("".join(line(k) for k in range(4)))
    assert flicker.main([str(video), str(people), "--json", str(tmp_path / "out.json")]) == 0
    assert "frames=4" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["blinking"] == 0


@pytest.mark.parametrize(
    "content, message",
    [(None, "densepose-export"), ("{}\n", "people.jsonl:1"), (line(width=32, height=32) * 4, "64x64"), (line(), "three")],
)
def test_unusable_people_are_named(tmp_path, video, capsys, content, message):
    people = tmp_path / "people.jsonl"
    if content is not None:
        people.write_text(content)
    assert flicker.main([str(video), str(people)]) == 1
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_video_is_named(tmp_path, capsys):
    (tmp_path / "people.jsonl").write_text(line())
    assert flicker.main([str(tmp_path / "people.jsonl"), str(tmp_path / "people.jsonl")]) == 1
    assert "no video" in capsys.readouterr().err


def test_what_the_truth_does_as_well_is_no_fault(tmp_path, video):
    def written(name, part, number=1):
        iuv = np.zeros((32, 24, 3), np.uint8)
        lines = []
        for k in range(4):
            iuv[..., 2] = part(k)
            png = base64.b64encode(cv2.imencode(".png", iuv)[1].tobytes()).decode()
            person = {"id": number, "score": 0.9, "box": [16 + k, 16, 24, 32], "iuv": png}
            lines.append(line(persons=[person]))
        path = tmp_path / name
        path.write_text("".join(lines))
        return path

    blinking = written("blinking.jsonl", lambda k: 1 if k == 2 else 2, number=8)
    steady = written("steady.jsonl", lambda k: 2)
    wrong = flicker.measure(video, blinking, steady)
    assert wrong["blinking"] > 20 and wrong["blinking_beyond"] == wrong["blinking"]
    assert wrong["idf1"] == 1 and wrong["switches"] == 0
    assert flicker.measure(video, blinking, blinking)["blinking_beyond"] == 0
    short = tmp_path / "short.jsonl"
    short.write_text(steady.read_text().split("\n")[0] + "\n")
    with pytest.raises(flicker.FlickerError, match="ends after 1 frames"):
        flicker.measure(video, blinking, short)
