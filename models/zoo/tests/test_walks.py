import json

import numpy as np
import pytest

from zoo import flicker, walks


def test_people_are_where_their_way_says():
    way = ((0, 0.0, 0.0), (2, 4.0, 0.0), (3, 4.0, 0.0), (5, 4.0, -2.0))
    here, walked, heading = walks.place(way, 1)
    assert here == pytest.approx([2, 0]) and walked == pytest.approx(2) and heading == pytest.approx(np.pi / 2)
    here, walked, heading = walks.place(way, 2.5)
    assert here == pytest.approx([4, 0]) and walked == pytest.approx(4) and heading == pytest.approx(np.pi / 2), "who stands still does not turn"
    here, walked, heading = walks.place(way, 9)
    assert here == pytest.approx([4, -2]) and walked == pytest.approx(6) and abs(heading) == pytest.approx(np.pi)


def test_the_truth_is_read_as_people_are(tmp_path):
    iuv = np.zeros((40, 60, 3), np.uint8)
    person = np.zeros((40, 60), np.uint8)
    iuv[10:30, 5:15], person[10:30, 5:15] = (2, 100, 200), 1
    iuv[10:14, 40:44], person[10:14, 40:44] = (3, 1, 1), 2  # too little to be seen
    path = tmp_path / "truth.jsonl"
    path.write_text(walks.line(0, iuv, person))
    assert [p["id"] for p in json.loads(path.read_text())["persons"]] == [1]
    parts, boxes = next(flicker.read_people(path))
    assert (parts == np.where(person == 1, 2, 0)).all()
    assert boxes[1] == pytest.approx([5, 10, 15, 30])
