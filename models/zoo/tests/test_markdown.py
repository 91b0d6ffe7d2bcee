"""Tables."""

from zoo import markdown


def cells(line: str) -> list[str]:
    """What stands in a line of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_numbers_stand_right_and_are_not_touched():
    lines = markdown.table(["what", "number", "goal"], [["a", "0.10", "x"], ["1e3", "-", "1.0"]], left=["goal"]).splitlines()
    assert [cells(line) for line in (lines[0], *lines[2:])] == [["what", "number", "goal"], ["a", "0.10", "x"], ["1e3", "-", "1.0"]]
    assert [(mark[0], mark[-1]) for mark in cells(lines[1])] == [(":", "-"), ("-", ":"), (":", "-")]


def test_a_table_without_rows_keeps_its_head():
    assert cells(markdown.table(["what", "number"], []).splitlines()[0]) == ["what", "number"]
