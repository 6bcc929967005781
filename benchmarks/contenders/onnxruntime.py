"""ONNX Runtime on its CPU provider."""

from __future__ import annotations

import numpy as np
import onnxruntime

from contenders.contender import BaseContender
from contenders.onnx_file import onnx_model


class Contender(BaseContender):
    """A session's ``run``."""

    def version(self):
        return f"ONNX Runtime {onnxruntime.__version__}"

    def inference(self, network, weights, x):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            onnx_model(network, weights, len(x)), options, providers=["CPUExecutionProvider"]
        )
        feeds = {session.get_inputs()[0].name: np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
        return lambda: session.run(None, feeds)[0]
