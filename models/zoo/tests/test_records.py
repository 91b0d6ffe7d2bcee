"""Files of densepose-export format=detectron2, as PyTorch reads them."""

from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[3] / "tests/fixtures/records/people.pt"


@pytest.mark.parametrize("weights_only", [True, False])
def test_torch_loads_what_the_plugin_wrote(weights_only):
    frames = torch.load(FILE, weights_only=weights_only)
    assert [f["file_name"] for f in frames] == ["00000.png", "00001.png", "00002.png"]
    assert [(f["frame"], f["pts"]) for f in frames] == [(0, 0), (1, 40_000_000), (2, None)]
    for frame, n in zip(frames, [3, 3, 0]):
        assert frame["scores"].shape == (n,) and frame["scores"].dtype == torch.float32
        assert frame["ids"].shape == (n,) and frame["ids"].dtype == torch.int64
        assert frame["pred_boxes_XYXY"].shape == (n, 4) and len(frame["pred_densepose"]) == n
    frame = frames[0]
    assert frame["ids"].tolist() == [7, 8, 4_000_000_000]
    assert frame["pred_boxes_XYXY"].tolist() == [[3, 2, 12, 8], [-2, 5, 3, 12], [30, 20, 34, 24]]
    torch.testing.assert_close(frame["scores"], torch.tensor([0.9876543, 0.1, 1.0]))


def test_maps_are_detectron2s():
    frame = torch.load(FILE)[0]
    for result, (x0, y0, x1, y1) in zip(frame["pred_densepose"], frame["pred_boxes_XYXY"].int().tolist()):
        size = (y1 - y0, x1 - x0)
        assert result.labels.shape == size and result.labels.dtype == torch.int64
        assert result.uv.shape == (2, *size) and result.uv.dtype == torch.float32
        assert result["labels"] is result.labels and result["uv"] is result.uv
        assert 0 <= result.labels.min() and result.labels.max() <= 24
    # Pixel i of the fixture's first map is body where i // 3 % 4 is not 0, with bytes 7i for U and 13i for V.
    result = frame["pred_densepose"][0]
    i = torch.arange(54).reshape(6, 9)
    body = i // 3 % 4 != 0
    assert torch.equal(result.labels > 0, body)
    quantized = (result.uv * 255).clamp(0, 255).byte().long()
    assert torch.equal(quantized[0][body], (i * 7 % 256)[body])
    assert torch.equal(quantized[1][body], (i * 13 % 256)[body])
    assert not result.uv[:, ~body].any()
