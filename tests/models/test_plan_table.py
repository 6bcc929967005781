"""`Model.plan`: what is printed of how a batch is computed."""

import pytest

from convlet import Model, Sequential, config
from convlet.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
    MaxPooling2D,
)


def lines_of(model, *arguments, **keywords):
    lines = []
    model.plan(*arguments, **keywords, print_fn=lines.append)
    return lines


def chain(**keywords):
    return Sequential(
        [
            Input((16, 16, 1)),
            Conv2D(4, 3, activation="tanh", **keywords),
            MaxPooling2D(2),
            Flatten(),
            Dense(3, activation="softmax"),
        ],
        name="chain",
    )


def test_a_plain_network_goes_through_in_one_phase():
    model = chain()
    model.compile("sgd", "sparse_categorical_crossentropy")
    lines = lines_of(model, 64)
    assert lines[0].startswith("'chain', train, 64 images: ")
    assert lines[0].endswith(config.instruction_set())
    assert sum("block by block" in line for line in lines) == 1
    text = "\n".join(lines)
    assert "conv2d: conv + add_bias + max_pool + activation" in text
    assert "conv_kernel_gradient" in text
    # 64 images of 14 x 14 outputs with 9 taps and 4 filters, two operations each
    assert f"{64 * 14 * 14 * 9 * 4 * 2 / 1e6:.2f}" in text


def test_batch_normalization_cuts_it_and_is_folded_for_predictions():
    x = Input((8, 8, 2))
    y = BatchNormalization()(Conv2D(2, 3, padding="same")(x))
    model = Model(x, Activation("relu")(Add()([x, y])))
    model.compile("sgd", "mse")
    training = lines_of(model, batch_size=8)
    assert sum("block by block" in line for line in training) > 1
    predicting = lines_of(model, 8, "predict")
    assert sum("block by block" in line for line in predicting) == 1
    assert not any("batch_normalize" in line for line in predicting)


def test_what_goes_by_fft_is_said_with_its_tiles():
    assert any("(FFT, tiles of" in line for line in lines_of(chain(algorithm="fft")))
    assert not any("FFT" in line for line in lines_of(chain(algorithm="direct")))


def test_memory_comes_last():
    *_, first, second = lines_of(chain())
    assert "MB for what phases leave each other" in first
    assert second.endswith("MB for kernels laid out anew and sums of gradients")


def test_the_reference_has_instructions(monkeypatch):
    monkeypatch.setattr(config, "executor", lambda: "reference")
    first, program = lines_of(chain())
    assert first.endswith("the reference executor, one instruction after the other")
    assert "conv2d/conv = conv(input, conv2d/kernel)" in program


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"batch_size must be an integer of at least 1, got 0"):
        chain().plan(0)
    with pytest.raises(ValueError, match=r"mode must be one of .*, got 'fly'"):
        chain().plan(mode="fly")
    with pytest.raises(RuntimeError, match=r"call compile"):
        chain().plan(mode="train")
    model = Sequential([Input((None, None, 1)), Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"plan needs inputs of known sizes, got the shape \(None"):
        model.plan()
