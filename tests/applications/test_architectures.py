"""Named networks made narrow: what they have in common; at full size: the papers' figures."""

import re

import numpy as np
import pytest

from convlet import Model, applications, load_model, utils
from convlet.applications import GOOGLENET_LOSS_WEIGHTS, inception_module
from convlet.layers import Input

# what makes each narrow, and how small an image may be
NARROW = {
    "VGG11": ({"width": 0.02}, (32, 32, 3)),
    "VGG16": ({"width": 0.02}, (32, 32, 3)),
    "AlexNet": ({"width": 0.02, "groups": 1}, (67, 67, 3)),
    "GoogLeNet": ({"width": 0.02, "auxiliary": False}, (32, 32, 3)),
    "ResNet18": ({"width": 0.03}, (32, 32, 3)),
    "ResNet50": ({"width": 0.03}, (32, 32, 3)),
    "ResNet20": ({"width": 0.2}, (8, 8, 1)),
    "ResNet32": ({"width": 0.2, "shortcuts": "projection"}, (9, 9, 1)),
    "DeepFace": ({"width": 0.1}, (72, 72, 1)),
    "MobileNet": ({"alpha": 0.1}, (32, 32, 3)),
    "MobileNetV2": ({"alpha": 0.1}, (33, 32, 3)),
    "P4CNN": ({"width": 0.2}, (28, 28, 1)),
    "P4MCNN": ({"width": 0.2}, (29, 30, 2)),
}


def made(name, **options):
    narrow, shape = NARROW[name]
    return getattr(applications, name)(**{"input_shape": shape, "classes": 3, **narrow, **options})


def trainable(model):
    return sum(variable.size for variable in model.trainable_weights)


@pytest.mark.parametrize("name", NARROW)
def test_predictions_are_probabilities_and_go_through_a_file(name, tmp_path):
    model = made(name)
    assert not model.compiled
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]))
    probabilities = model.predict(x, verbose=0)
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.name == model.name
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), probabilities)


@pytest.mark.parametrize("name", NARROW)
def test_other_ends(name):
    maps = made(name, include_top=False).output_shape
    assert len(maps) == 4
    for pooling in ("avg", "max"):
        model = made(name, include_top=False, pooling=pooling)
        assert model.output_shape == (None, maps[-1])
        assert f"{pooling}_pool" in model.layers[-1].name or "global" in model.layers[-1].name


@pytest.mark.parametrize("name", NARROW)
def test_wrong_arguments(name):
    width = "alpha" if "MobileNet" in name else "width"
    owner = "CIFARResNet" if "shortcuts" in applications.__dict__[name].__kwdefaults__ else name
    for argument, value, message in [
        (width, 0, f"{owner}: {width} must be a number above 0, got 0"),
        (width, "wide", f"{owner}: {width} must be a number of at most 1e+06, got 'wide'"),
        (width, 1e308, f"{owner}: {width} must be a number of at most 1e+06, got 1e+308"),
        ("include_top", 1, f"{owner}: include_top must be True or False, got 1"),
        ("pooling", "mean", f"{owner}: pooling must be one of 'avg', 'max', got 'mean'"),
        ("classes", 0, "must be an integer of at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=f"{re.escape(message)}$"):
            made(name, **{argument: value})


# --- AlexNet, VGG ---


def test_lecture_004s_alexnet():
    """The table that the lecture shows, after Krizhevsky et al.: sizes and numbers of weights."""
    model = applications.AlexNet()
    rows = {
        layer.name: (layer.output.shape[1:], layer.count_params())
        for layer in model.layers
        if not layer.name.startswith(("norm", "drop", "input", "flatten"))
    }
    assert rows == {
        "conv1": ((55, 55, 96), 34_944),
        "pool1": ((27, 27, 96), 0),
        "conv2": ((27, 27, 256), 614_656),
        "pool2": ((13, 13, 256), 0),
        "conv3": ((13, 13, 384), 885_120),
        "conv4": ((13, 13, 384), 1_327_488),
        "conv5": ((13, 13, 256), 884_992),
        "pool5": ((6, 6, 256), 0),
        "fc6": ((4096,), 37_752_832),
        "fc7": ((4096,), 16_781_312),
        "predictions": ((1000,), 4_097_000),
    }
    assert model.count_params() == 62_378_344


def test_alexnet_in_two_groups():
    model = applications.AlexNet(groups=2)
    assert model.count_params() == 60_965_224
    grouped = [layer.name for layer in model.layers if getattr(layer, "groups", 1) == 2]
    assert grouped == ["conv2", "conv4", "conv5"]
    assert applications.AlexNet(groups=2).get_layer("norm1").get_config().items() >= {
        ("depth_radius", 2),
        ("bias", 2.0),
        ("alpha", 1e-4),
        ("beta", 0.75),
    }


def test_vgg_without_normalization():
    """The totals of VGG's table 2, 133, 133, 138 and 144 million, written out."""
    counts = [getattr(applications, f"VGG{n}")().count_params() for n in (11, 13, 16, 19)]
    assert counts == [132_863_336, 133_047_848, 138_357_544, 143_667_240]


# --- Inception ---


def test_inception_modules():
    """Figure 2 of the paper: the naive module keeps the pooled channels, the other reduces them."""
    x = Input((28, 28, 192))
    naive = Model(x, inception_module(x, (64, 128, 32)))
    assert naive.output_shape == (None, 28, 28, 64 + 128 + 32 + 192)
    assert naive.count_params() == 64 * 193 + 128 * (9 * 192 + 1) + 32 * (25 * 192 + 1)
    reduced = Model(x, inception_module(x, (64, 128, 32), (96, 16, 32)))
    assert reduced.output_shape == (None, 28, 28, 256)
    assert reduced.count_params() == 163_696  # "159K" in the paper's table 1
    with pytest.raises(ValueError, match=r"^inception_module: filters must be .* 3 such integers"):
        inception_module(x, (64, 128))


def test_googlenet():
    """Table 1: what each stage gives; the totals are those of Caffe's model."""
    model = applications.GoogLeNet()
    assert model.count_params() == 13_378_280
    assert applications.GoogLeNet(auxiliary=False).count_params() == 6_998_552
    sizes = {
        "pool1": (56, 56, 64),
        "pool2": (28, 28, 192),
        "inception_3a_output": (28, 28, 256),
        "inception_3b_output": (28, 28, 480),
        "inception_4a_output": (14, 14, 512),
        "inception_4e_output": (14, 14, 832),
        "inception_5b_output": (7, 7, 1024),
        "auxiliary1_pool": (4, 4, 512),
        "auxiliary2_pool": (4, 4, 528),
    }
    assert {name: model.get_layer(name).output.shape[1:] for name in sizes} == sizes


def test_googlenet_trains_with_its_auxiliary_classifiers():
    utils.set_random_seed(0)
    model = made("GoogLeNet", auxiliary=True, input_shape=(66, 66, 3), width=0.05)
    model.compile("sgd", "sparse_categorical_crossentropy", loss_weights=GOOGLENET_LOSS_WEIGHTS)
    x = np.random.default_rng(0).random((4, 66, 66, 3))
    y = dict.fromkeys(GOOGLENET_LOSS_WEIGHTS, np.arange(4) % 3)
    scores = model.test_on_batch(x, y, return_dict=True)
    weighted = [scores[f"{name}_loss"] * w for name, w in GOOGLENET_LOSS_WEIGHTS.items()]
    np.testing.assert_allclose(scores["loss"], sum(weighted), rtol=1e-5)
    biases = [model.get_layer(f"auxiliary{n}_predictions").bias for n in (1, 2)]
    model.train_on_batch(x, y)
    assert all(bias.value.any() for bias in biases)
    # the network that is used afterwards has the same layers, without these classifiers
    alone = made("GoogLeNet", input_shape=(66, 66, 3), width=0.05)
    for path, variable in alone.named_weights().items():
        variable.assign(model.named_weights()[path].value)
    np.testing.assert_allclose(
        alone.predict(x, verbose=0), model.predict(x, verbose=0)["main"], rtol=1e-5
    )


# --- residual networks ---


def test_resnets_of_the_paper():
    """Trainable weights, those of the networks that PyTorch publishes under these names."""
    assert trainable(applications.ResNet18()) == 11_689_512
    assert trainable(applications.ResNet34()) == 21_797_672
    assert trainable(applications.ResNet50(use_bias=False)) == 25_557_032
    assert trainable(applications.ResNet101(use_bias=False)) == 44_549_160
    assert trainable(applications.ResNet152(use_bias=False)) == 60_192_808


def test_resnet_s_sizes():
    """Table 1 of the paper."""
    model = applications.ResNet34()
    sizes = [model.get_layer(f"conv{n}_block1_out").output.shape[1:] for n in range(2, 6)]
    assert sizes == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]


@pytest.mark.parametrize(
    ("depth", "weights"),
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_the_cifar_family(depth, weights):
    """Table 6 of the paper, 0.27 to 1.7 million; shortcuts without weights, the plain network's."""
    make = getattr(applications, f"ResNet{depth}")
    assert trainable(make()) == trainable(make(shortcuts="none")) == weights
    # two projections of 16 to 32 and 32 to 64 channels, and their normalizations
    assert trainable(make(shortcuts="projection")) == weights + 512 + 64 + 2048 + 128
    kernels = [v for v in make().trainable_weights if v.name == "kernel"]
    assert len(kernels) == depth
    assert make().name == f"resnet{depth}"
    assert make(shortcuts="none").name == f"plain{depth}"


def test_identity_shortcuts_subsample_and_add_channels_of_zeros():
    model = applications.CIFARResNet(8, input_shape=(6, 5, 1), width=0.25)
    before, after = (
        Model(model.input, model.get_layer(name).output)
        for name in ("conv2_block1_out", "conv3_block1_0_turn_back")
    )
    x = np.random.default_rng(0).random((2, 6, 5, 1))
    maps = before.predict(x, verbose=0)[:, ::2, ::2]
    shortcut = after.predict(x, verbose=0)
    np.testing.assert_array_equal(shortcut[..., :4], maps)
    assert shortcut.shape[1:] == (3, 3, 8)
    assert not shortcut[..., 4:].any()


def test_plain_networks_have_no_shortcuts():
    names = [layer.name for layer in applications.ResNet20(shortcuts="none").layers]
    assert not any(name.endswith("add") or "_0_" in name for name in names)


@pytest.mark.parametrize("depth", [2, 21, 20.0])
def test_wrong_depths(depth):
    with pytest.raises(ValueError, match=r"^CIFARResNet: depth must be "):
        applications.CIFARResNet(depth)


def test_wrong_shortcuts():
    with pytest.raises(ValueError, match=r"^CIFARResNet: shortcuts must be one of 'identity', "):
        applications.ResNet20(shortcuts="A")


# --- DeepFace, networks that turn ---


def test_deepface():
    """Figure 2 of the paper: maps of 142, 71, 63, 55, 25 and 21 rows; mostly local weights."""
    model = applications.DeepFace()
    rows = [model.get_layer(n).output.shape[1] for n in ("C1", "M2", "C3", "L4", "L5", "L6")]
    assert rows == [142, 71, 63, 55, 25, 21]
    counts = {layer.name: layer.count_params() for layer in model.layers}
    assert (counts["C1"], counts["C3"]) == (11_648, 41_488)
    assert counts["L4"] + counts["L5"] + counts["L6"] == 73_454_256
    assert model.count_params() == 118_923_774


@pytest.mark.parametrize(("name", "weights"), [("P4CNN", 24_610), ("P4MCNN", 26_747)])
def test_answers_do_not_turn_with_the_image(name, weights):
    utils.set_random_seed(0)
    model = getattr(applications, name)()
    assert trainable(model) == weights
    x = np.random.default_rng(0).random((3, 28, 28, 1))
    expected = model.predict(x, verbose=0)
    assert expected.std(axis=0).max() > 1e-4
    turned = [np.rot90(x, axes=(1, 2))]
    if name == "P4MCNN":
        turned.append(x[:, :, ::-1])
    for images in turned:
        np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5)


def test_inner_maps_turn_with_the_image():
    model = applications.P4CNN(include_top=False)
    x = np.random.default_rng(0).random((1, 28, 28, 1)).astype(np.float32)
    maps = model(x).reshape(4, 4, 4, 10)  # rows, columns, orientations, filters
    turned = model(np.rot90(x, axes=(1, 2))).reshape(4, 4, 4, 10)
    expected = np.roll(np.rot90(maps), 1, axis=2)
    np.testing.assert_allclose(turned, expected, atol=1e-5)
