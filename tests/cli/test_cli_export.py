"""``convlet export``: a network as an ONNX file."""

import numpy as np
import pytest

from convlet import load_model

pytest_plugins = ("cli_fixtures",)


@pytest.mark.interop
def test_a_network_is_exported(convlet, trained):
    pytest.importorskip("onnxruntime")
    result = convlet("export", trained, "net.onnx")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Exported to net.onnx (")
    first, second = load_model(trained), load_model("net.onnx")
    x = np.random.default_rng(0).normal(size=(2, *first.input_shape[1:])).astype(np.float32)
    predicted = second.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, first.predict(x, verbose=0), atol=1e-6)


def test_a_file_of_another_name_is_refused(convlet, trained):
    result = convlet("export", trained, "net.pt")
    assert result.exit_code == 1
    assert result.stderr == "Error: net.pt: the file's name must end in .onnx\n"
