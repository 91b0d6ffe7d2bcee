"""Pictures without people: which of them training may see."""

import json

import pytest

from zoo import negatives


def folder_of(tmp_path, *categories):
    lines = [json.dumps({"file": f"{number}.jpg", "category": category}) for number, category in enumerate(categories)]
    (tmp_path / "index.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_whole_categories_and_every_third_everyday_picture_are_held_out(tmp_path):
    folder = folder_of(tmp_path, "cup", "lamp", *["everyday"] * 6, "lamp", "chair")
    train, val = ([p.stem for p in negatives.read_index(folder, split)] for split in ("train", "val"))
    assert train == ["0", "3", "4", "6", "7", "9"]
    assert val == ["1", "2", "5", "8"]
    assert len(negatives.read_index(folder)) == 10
    assert len(set(negatives.HELD_OUT)) == 20


def test_an_unfit_index_is_named(tmp_path):
    with pytest.raises(negatives.NegativesError, match="index.jsonl: No such file.*needs an index.jsonl"):
        negatives.read_index(tmp_path)
    (tmp_path / "index.jsonl").write_text('{"file": "a.jpg", "category": "cup"}\n{"file": "b.jpg"}\n')
    with pytest.raises(negatives.NegativesError, match="index.jsonl:2: KeyError: 'category'"):
        negatives.read_index(tmp_path)
