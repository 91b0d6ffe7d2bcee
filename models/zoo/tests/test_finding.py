"""Who is found by outline, and who is false."""

import numpy as np
import pytest

from zoo import finding
from zoo.augment import SOMEBODY, UNKNOWN
from zoo.inference import Person
from zoo.paired import Row


def shown(x0, y0, x1, y1, score=0.9):
    """Somebody who fills a box."""
    return Person((x0, y0, x1, y1), score, x0, y0, x1 - x0, y1 - y0, np.full((y1 - y0, x1 - x0, 3), 2, np.uint8))


def picture():
    """256 x 300: somebody of 100 x 40 at 20, 20; somebody of 20 x 10 at 200, 50; a place where an unlabelled person is."""
    whose = np.zeros((256, 300), np.uint8)
    whose[20:120, 20:60], whose[50:70, 200:210], whose[150:250, 200:240] = 1, 2, SOMEBODY
    whose[20:120, 60:62] = UNKNOWN
    return whose, np.array([[20, 20, 60, 120], [200, 50, 210, 70]])


def test_outlines_and_false_people():
    whose, _ = picture()
    people = [shown(20, 20, 60, 70), shown(20, 20, 62, 120), shown(100, 100, 150, 200), shown(200, 150, 240, 250)]
    best, false = finding.outlines(whose, people, 2)
    assert best.tolist() == [1.0, 0.0], "the best counts, and the open seam does not"
    assert false == [False, False, True, False]
    best, _ = finding.outlines(whose, [shown(20, 20, 60, 70)], 2)
    assert best[0] == pytest.approx(0.5)
    best, _ = finding.outlines(whose, [shown(20, 20, 60, 45), shown(190, 50, 210, 70)], 2)
    assert best.tolist() == pytest.approx([0.25, 0.5])


def test_rows_of_people():
    whose, boxes = picture()
    rows = finding.people_rows(whose, boxes, [shown(20, 20, 60, 90), shown(100, 100, 150, 200)], by_hand=True)
    assert rows["found, all"] == Row(1, 1), "who is less than 24 pixels tall does not count"
    assert rows["found, large"] == Row(1, 1)
    assert rows["outline IoU"] == Row(pytest.approx(0.7), 1)
    assert rows["false per picture"] == Row(1, 1)
    assert finding.people_rows(whose, boxes, [], by_hand=False)["outline IoU"] == Row(0, 0)
    double = whose.repeat(2, 0).repeat(2, 1)
    assert finding.people_rows(double, boxes * 2, [], by_hand=True)["found, all"] == Row(0, 1), "heights are those at 256 pixels"
    small = finding.people_rows(whose[::2, ::2], boxes // 2, [], by_hand=True)
    assert small["found, all"] == Row(0, 1) and small["found, large"] == Row(0, 1)


def test_rows_of_pictures_without_anybody():
    assert finding.nobody_rows([shown(0, 0, 5, 5)] * 2) == {"false per 100 pictures": Row(200, 1), "pictures with a false person": Row(1, 1)}
    assert finding.nobody_rows([])["pictures with a false person"] == Row(0, 1)
