"""Keras's classes that convlet has, too: what their configurations say beyond ours, in one table.

The names and the arguments are the same, so an entry says only where they differ. What is in no
entry is refused by its name, be it a class or an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

ANY = object()
"""Stands for a value that changes nothing, whatever it is: how a thing is computed, or drawn."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class KerasClass(NamedTuple):
    """How a class's arguments in Keras differ from ours.

    Attributes
    ----------
    theirs : mapping of str to object
        Arguments that Keras alone has, or writes where we do not, with the value that asks for
        nothing.
    ours : mapping of str to object
        Arguments that we alone have, with the value that Keras's class stands for.
    notes_shape : bool
        Whether Keras writes the input shape that a layer was built for.
    """

    theirs: Mapping[str, Any] = _NONE
    ours: Mapping[str, Any] = _NONE
    notes_shape: bool = False


def _weighted(*weights: str, **more: Any) -> dict[str, Any]:
    """Return the regularizers and constraints of some weights, null where there are none."""
    kinds = ("regularizer", "constraint")
    return {**{f"{weight}_{kind}": None for weight in weights for kind in kinds}, **more}


_LAST = {"data_format": "channels_last"}
_CONVOLUTION = _weighted("kernel", "bias", activity_regularizer=None, **_LAST)
_DEPTHWISE = _weighted("depthwise", "bias", activity_regularizer=None, **_LAST)
_SEPARABLE = _weighted("depthwise", "pointwise", "bias", activity_regularizer=None, **_LAST)
_SCALED = _weighted("beta", "gamma")
_BATCH = {
    **_SCALED,
    "synchronized": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": ANY,  # of what renorm alone does
}
_CONV = KerasClass(_CONVOLUTION, {"algorithm": ANY}, True)
_TRANSPOSED = KerasClass(_CONVOLUTION, {"algorithm": ANY, "groups": 1}, True)
_ON_GRID = KerasClass(_LAST)
_SHAPED_GRID = KerasClass(_LAST, notes_shape=True)
_PLAIN = KerasClass()
_SHAPED = KerasClass(notes_shape=True)

LAYERS: Mapping[str, KerasClass] = {
    "Activation": _PLAIN,
    "ActivityRegularization": _PLAIN,
    "Add": _SHAPED,
    "AlphaDropout": KerasClass({"noise_shape": None}),
    "Average": _SHAPED,
    "AveragePooling1D": _ON_GRID,
    "AveragePooling2D": _ON_GRID,
    "AveragePooling3D": _ON_GRID,
    "BatchNormalization": KerasClass(_BATCH, notes_shape=True),
    "Concatenate": _SHAPED,
    "Conv1D": _CONV,
    "Conv1DTranspose": _TRANSPOSED,
    "Conv2D": _CONV,
    "Conv2DTranspose": _TRANSPOSED,
    "Conv3D": _CONV,
    "Conv3DTranspose": _TRANSPOSED,
    "Cropping1D": _SHAPED,
    "Cropping2D": _SHAPED_GRID,
    "Cropping3D": _SHAPED_GRID,
    "Dense": KerasClass(_weighted("kernel", "bias", quantization_config=None), notes_shape=True),
    "DepthwiseConv1D": KerasClass(_DEPTHWISE, notes_shape=True),
    "DepthwiseConv2D": KerasClass(_DEPTHWISE, notes_shape=True),
    "Dropout": KerasClass({"noise_shape": None}),
    "ELU": _PLAIN,
    "Flatten": _SHAPED_GRID,
    "GaussianDropout": _PLAIN,
    "GaussianNoise": _PLAIN,
    "GlobalAveragePooling1D": _ON_GRID,
    "GlobalAveragePooling2D": _ON_GRID,
    "GlobalAveragePooling3D": _ON_GRID,
    "GlobalMaxPooling1D": _ON_GRID,
    "GlobalMaxPooling2D": _ON_GRID,
    "GlobalMaxPooling3D": _ON_GRID,
    "GroupNormalization": KerasClass(_SCALED, notes_shape=True),
    "InputLayer": KerasClass({"sparse": False, "ragged": False, "optional": False}),
    "LayerNormalization": KerasClass({**_SCALED, "rms_scaling": False}, notes_shape=True),
    "LeakyReLU": _PLAIN,
    "MaxPooling1D": _ON_GRID,
    "MaxPooling2D": _ON_GRID,
    "MaxPooling3D": _ON_GRID,
    "Maximum": _SHAPED,
    "Minimum": _SHAPED,
    "Multiply": _SHAPED,
    "Normalization": _SHAPED,
    "PReLU": KerasClass(_weighted("alpha"), notes_shape=True),
    "Permute": _SHAPED,
    "ReLU": _PLAIN,
    "Rescaling": _SHAPED,
    "Reshape": _PLAIN,
    "SeparableConv1D": KerasClass(_SEPARABLE, notes_shape=True),
    "SeparableConv2D": KerasClass(_SEPARABLE, notes_shape=True),
    "Softmax": _PLAIN,
    "SpatialDropout1D": _PLAIN,
    "SpatialDropout2D": _ON_GRID,
    "SpatialDropout3D": _ON_GRID,
    "Subtract": _SHAPED,
    "UpSampling1D": _SHAPED,
    "UpSampling2D": _SHAPED_GRID,
    "UpSampling3D": _SHAPED_GRID,
    "ZeroPadding1D": _SHAPED_GRID,
    "ZeroPadding2D": _SHAPED_GRID,
    "ZeroPadding3D": _SHAPED_GRID,
}

_FANS = KerasClass({"input_axes": None, "output_axes": None})

INITIALIZERS: Mapping[str, KerasClass] = {
    "Zeros": _PLAIN,
    "Ones": _PLAIN,
    "Constant": _PLAIN,
    "RandomNormal": _PLAIN,
    "RandomUniform": _PLAIN,
    "TruncatedNormal": _PLAIN,
    "Orthogonal": _PLAIN,
    "OrthogonalInitializer": _PLAIN,
    "Identity": _PLAIN,
    "VarianceScaling": _FANS,
    "GlorotNormal": _FANS,
    "GlorotUniform": _FANS,
    "HeNormal": _FANS,
    "HeUniform": _FANS,
    "LecunNormal": _FANS,
    "LecunUniform": _FANS,
}

SAME_INITIALIZERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "TanhUniform": ("GlorotUniform", {}),
    "SigmoidUniform": (
        "VarianceScaling",
        {"scale": 16.0, "mode": "fan_avg", "distribution": "uniform"},
    ),
}
"""Ours that Keras has under another name, with that name and what its arguments are then."""

TERMS = ("_regularizer", "_constraint")
"""How the arguments of both end, which only Keras writes where they are None."""

REGULARIZERS: Mapping[str, KerasClass] = {
    "L1": _PLAIN,
    "L1L2": _PLAIN,
    "L2": _PLAIN,
    "OrthogonalRegularizer": _PLAIN,
}

CONSTRAINTS: Mapping[str, KerasClass] = {
    "MaxNorm": _PLAIN,
    "MinMaxNorm": _PLAIN,
    "NonNeg": _PLAIN,
    "UnitNorm": _PLAIN,
}

_OVER_LAST = KerasClass({"axis": -1})

LOSSES: Mapping[str, KerasClass] = {
    "BinaryCrossentropy": _OVER_LAST,
    "BinaryFocalCrossentropy": _OVER_LAST,
    "CategoricalCrossentropy": _OVER_LAST,
    "CategoricalFocalCrossentropy": _OVER_LAST,
    "CategoricalHinge": _PLAIN,
    "CosineSimilarity": _PLAIN,
    "Dice": _PLAIN,
    "Hinge": _PLAIN,
    "Huber": _PLAIN,
    "KLDivergence": _PLAIN,
    "LogCosh": _PLAIN,
    "MeanAbsoluteError": _PLAIN,
    "MeanAbsolutePercentageError": _PLAIN,
    "MeanSquaredError": _PLAIN,
    "MeanSquaredLogarithmicError": _PLAIN,
    "Poisson": _PLAIN,
    "SparseCategoricalCrossentropy": _PLAIN,
    "SquaredHinge": _PLAIN,
    "Tversky": _PLAIN,
}

_METRIC = {"dtype": "float32"}
_PLAIN_METRIC = KerasClass(_METRIC)
_METRIC_OVER_LAST = KerasClass({**_METRIC, "axis": -1})
_IOU = KerasClass({"dtype": "int32", "axis": -1})

METRICS: Mapping[str, KerasClass] = {
    "AUC": _PLAIN_METRIC,
    "Accuracy": _PLAIN_METRIC,
    "BinaryAccuracy": _PLAIN_METRIC,
    "BinaryCrossentropy": _PLAIN_METRIC,
    "BinaryIoU": KerasClass({"dtype": "int32"}),
    "CategoricalAccuracy": _PLAIN_METRIC,
    "CategoricalCrossentropy": _METRIC_OVER_LAST,
    "CategoricalHinge": _PLAIN_METRIC,
    "CosineSimilarity": _PLAIN_METRIC,
    "F1Score": _PLAIN_METRIC,
    "FBetaScore": _PLAIN_METRIC,
    "FalseNegatives": _PLAIN_METRIC,
    "FalsePositives": _PLAIN_METRIC,
    "Hinge": _PLAIN_METRIC,
    "IoU": _IOU,
    "KLDivergence": _PLAIN_METRIC,
    "LogCoshError": _PLAIN_METRIC,
    "Mean": _PLAIN_METRIC,
    "MeanAbsoluteError": _PLAIN_METRIC,
    "MeanAbsolutePercentageError": _PLAIN_METRIC,
    "MeanIoU": _IOU,
    "MeanSquaredError": _PLAIN_METRIC,
    "MeanSquaredLogarithmicError": _PLAIN_METRIC,
    "OneHotIoU": _IOU,
    "OneHotMeanIoU": _IOU,
    "Poisson": _PLAIN_METRIC,
    "Precision": _PLAIN_METRIC,
    "PrecisionAtRecall": _PLAIN_METRIC,
    "R2Score": _PLAIN_METRIC,
    "Recall": _PLAIN_METRIC,
    "RecallAtPrecision": _PLAIN_METRIC,
    "RootMeanSquaredError": _PLAIN_METRIC,
    "SensitivityAtSpecificity": _PLAIN_METRIC,
    "SparseCategoricalAccuracy": _PLAIN_METRIC,
    "SparseCategoricalCrossentropy": _METRIC_OVER_LAST,
    "SparseTopKCategoricalAccuracy": _PLAIN_METRIC,
    "SpecificityAtSensitivity": _PLAIN_METRIC,
    "SquaredHinge": _PLAIN_METRIC,
    "TopKCategoricalAccuracy": _PLAIN_METRIC,
    "TrueNegatives": _PLAIN_METRIC,
    "TruePositives": _PLAIN_METRIC,
}

_OPTIMIZER = KerasClass(
    {"loss_scale_factor": None, "gradient_accumulation_steps": None},
    {"exclude_from_weight_decay": ANY},  # which Keras leaves out of its files
)

OPTIMIZERS: Mapping[str, KerasClass] = {
    "Adadelta": _OPTIMIZER,
    "Adagrad": _OPTIMIZER,
    "Adam": _OPTIMIZER,
    "AdamW": _OPTIMIZER,
    "Adamax": _OPTIMIZER,
    "Lion": _OPTIMIZER,
    "Nadam": _OPTIMIZER,
    "RMSprop": _OPTIMIZER,
    "SGD": _OPTIMIZER,
}

_OF_ADAM = (("momentum", "velocity"), ("velocity_hat",))

SLOTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Adadelta": (("accumulated_grad", "accumulated_delta_var"),),
    "Adagrad": (("accumulator",),),
    "Adam": _OF_ADAM,
    "AdamW": _OF_ADAM,
    "Adamax": (("momentum", "norm"),),
    "Lion": (("momentum",),),
    "Nadam": _OF_ADAM,
    "RMSprop": (("velocity",), ("momentum",), ("average_gradient",)),
    "SGD": (("momentum",),),
}
"""What an optimizer remembers, in the order of Keras's files: group by group, and within a group
weight by weight. Moving averages, if there are any, go before all of it."""

MOMENTUM_PRODUCT = ("Nadam",)
"""Optimizers behind whose slots Keras writes a number that follows from the number of steps."""

SCHEDULES: Mapping[str, KerasClass] = {
    "CosineDecay": _PLAIN,
    "CosineDecayRestarts": _PLAIN,
    "ExponentialDecay": _PLAIN,
    "InverseTimeDecay": _PLAIN,
    "PiecewiseConstantDecay": _PLAIN,
    "PolynomialDecay": _PLAIN,
}

COMPILE = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": "auto"}
"""What Keras was told about how to compute a step, not what; with what is written of it."""

OLD_COMPILE = ("auto_scale_loss",)
"""The same, which only some versions of Keras 3 write."""

DEFAULTS = {"renorm_momentum": 0.99}
"""What is written of Keras's own arguments whose value changes nothing."""
