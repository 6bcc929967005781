# What native/bindings.cpp defines.
from collections.abc import Sequence
from enum import Enum

import numpy as np

version: str
interface: int
compiler: str

def available_instruction_sets() -> list[str]: ...
def best_instruction_set() -> str: ...
def register_width(instruction_set: str) -> int: ...
def usable_processors() -> int: ...

class Rule(Enum):
    descent = ...
    adam = ...
    adamax = ...
    nadam = ...
    rmsprop = ...
    adagrad = ...
    adadelta = ...
    lion = ...

class NormClip(Enum):
    none = ...
    each = ...
    all = ...

def optimizer_step(
    instruction_set: str,
    rule: Rule,
    numbers: Sequence[float],
    before: list[tuple[np.ndarray, np.ndarray, float, np.ndarray | None, list[np.ndarray]]],
    after: list[tuple[np.ndarray, np.ndarray | None, list[np.ndarray]]],
    clip: NormClip,
    largest_norm: float,
    largest_gradient: float,
    average_momentum: float,
    takes_average: bool,
    threads: int,
) -> list[bool]: ...

class Activation(Enum):
    linear = ...
    relu = ...
    relu6 = ...
    leaky_relu = ...
    elu = ...
    selu = ...
    tanh = ...
    sigmoid = ...
    hard_sigmoid = ...
    softplus = ...
    softsign = ...
    exponential = ...
    silu = ...
    gelu = ...
    mish = ...
    rectifier = ...

class Loss(Enum):
    squared_error = ...
    binary_crossentropy = ...
    categorical_crossentropy = ...
    sparse_categorical_crossentropy = ...

class TapTable:
    def __init__(self, axes: Sequence[tuple[int, int, int, int, int, int]]) -> None: ...

class Moves:
    def __init__(self, first: np.ndarray, first_source: np.ndarray, source: np.ndarray) -> None: ...

class Plan:
    instruction_set: str
    blocks: int
    lanes: int
    shards: int
    bytes: int
    def __init__(self, instruction_set: str, images: int, lanes: int) -> None: ...
    def stages(self) -> list[tuple[int, bool, str, float]]: ...
    def memory(self) -> tuple[int, int, int]: ...
    def add_buffer(self, bytes: int, shared: bool, offset: int) -> int: ...
    def add_gradient(self, size: int, result: int, sharded: bool) -> int: ...
    def release_memory(self, memory: int) -> None: ...
    def begin_phase(self, together: bool) -> None: ...
    def run(
        self,
        first_phase: int,
        last_phase: int,
        slots: Sequence[np.ndarray | None],
        threads: int,
    ) -> None: ...
    def set_profiling(self, on: bool) -> None: ...
    def take_profile(self) -> list[tuple[str, float, float]]: ...

_Shape = tuple[int, int, int, int]  # taps, groups, channels, rows
_Transform = tuple[bool, Sequence[int]]

def load_images(plan: Plan, name: str, slot: int, x: int, size: int, repeats: bool) -> None: ...
def store_images(plan: Plan, name: str, x: int, slot: int, size: int) -> None: ...
def pack_kernel(
    plan: Plan, name: str, slot: int, table: TapTable, shape: _Shape, transposed: bool
) -> int: ...
def convolution(
    plan: Plan,
    name: str,
    table: TapTable,
    shape: _Shape,
    transposed: bool,
    weights: int,
    x: int,
    y: int,
    bias: int = -1,
    residual: int = -1,
    pool: TapTable | None = None,
    winner: int = -1,
    activation: Activation = Activation.linear,
    parameters: Sequence[float] = (),
) -> None: ...
def kernel_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    shape: _Shape,
    x: int,
    delta: int,
    gradient: int,
    whole_batch: bool,
    local: bool,
    unpool: TapTable | None = None,
    winner: int = -1,
) -> None: ...
def transformed_kernel(
    plan: Plan,
    name: str,
    slot: int,
    table: TapTable,
    transform: _Transform,
    shape: _Shape,
    transposed: bool,
) -> int: ...
def transformed_convolution(
    plan: Plan,
    name: str,
    table: TapTable,
    transform: _Transform,
    shape: _Shape,
    transposed: bool,
    weights: int,
    x: int,
    y: int,
    bias: int = -1,
    residual: int = -1,
    activation: Activation = Activation.linear,
    parameters: Sequence[float] = (),
) -> None: ...
def transformed_kernel_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    transform: _Transform,
    shape: _Shape,
    x: int,
    delta: int,
    gradient: int,
) -> None: ...
def pack_lines(plan: Plan, name: str, slot: int, table: TapTable, shape: _Shape) -> int: ...
def winner_kernel_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    pool: TapTable,
    shape: _Shape,
    x: int,
    delta: int,
    winner: int,
    gradient: int,
) -> None: ...
def winner_input_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    pool: TapTable,
    shape: _Shape,
    weights: int,
    delta: int,
    winner: int,
    x_delta: int,
) -> None: ...
def local_convolution(
    plan: Plan, name: str, table: TapTable, shape: _Shape, kernel: int, x: int, y: int
) -> None: ...
def local_input_gradient(
    plan: Plan, name: str, table: TapTable, shape: _Shape, kernel: int, delta: int, x_delta: int
) -> None: ...
def bias_gradient(
    plan: Plan, name: str, delta: int, gradient: int, positions: int, channels: int
) -> None: ...
def max_pool(
    plan: Plan,
    name: str,
    table: TapTable,
    channels: int,
    x: int,
    y: int,
    winner: int,
    winner_bytes: int,
) -> None: ...
def max_pool_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    channels: int,
    delta: int,
    winner: int,
    winner_bytes: int,
    x_delta: int,
) -> None: ...
def average_pool(plan: Plan, name: str, table: TapTable, channels: int, x: int, y: int) -> None: ...
def average_pool_gradient(
    plan: Plan, name: str, table: TapTable, channels: int, delta: int, x_delta: int
) -> None: ...
def sum_pool(plan: Plan, name: str, table: TapTable, channels: int, x: int, y: int) -> None: ...
def sum_pool_gradient(
    plan: Plan, name: str, table: TapTable, channels: int, delta: int, x_delta: int
) -> None: ...
def l2_pool(plan: Plan, name: str, table: TapTable, channels: int, x: int, y: int) -> None: ...
def l2_pool_gradient(
    plan: Plan, name: str, table: TapTable, channels: int, delta: int, x: int, y: int, x_delta: int
) -> None: ...
def log_sum_exp_pool(
    plan: Plan, name: str, table: TapTable, channels: int, x: int, y: int, sharpness: float
) -> None: ...
def log_sum_exp_pool_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    channels: int,
    delta: int,
    x: int,
    y: int,
    x_delta: int,
    sharpness: float,
) -> None: ...
def stochastic_pool(
    plan: Plan,
    name: str,
    table: TapTable,
    channels: int,
    x: int,
    random: int,
    y: int,
    winner: int,
    winner_bytes: int,
    layer: int,
) -> None: ...
def stochastic_pool_mean(
    plan: Plan, name: str, table: TapTable, channels: int, x: int, y: int, total: int
) -> None: ...
def stochastic_pool_mean_gradient(
    plan: Plan,
    name: str,
    table: TapTable,
    channels: int,
    delta: int,
    x: int,
    y: int,
    total: int,
    x_delta: int,
) -> None: ...
def activation(
    plan: Plan,
    name: str,
    function: Activation,
    parameters: Sequence[float],
    x: int,
    y: int,
    size: int,
) -> None: ...
def activation_gradient(
    plan: Plan,
    name: str,
    function: Activation,
    parameters: Sequence[float],
    delta: int,
    known: int,
    x_delta: int,
    size: int,
) -> None: ...
def softmax(
    plan: Plan, name: str, logarithm: bool, x: int, y: int, positions: int, channels: int
) -> None: ...
def softmax_gradient(
    plan: Plan,
    name: str,
    logarithm: bool,
    delta: int,
    y: int,
    x_delta: int,
    positions: int,
    channels: int,
) -> None: ...
def loss(
    plan: Plan,
    name: str,
    loss: Loss,
    from_logits: bool,
    smoothing: float,
    prediction: int,
    targets: int,
    weights: int,
    values: int,
    delta: int,
    positions: int,
    channels: int,
) -> None: ...
def add_bias(
    plan: Plan, name: str, x: int, bias: int, y: int, positions: int, channels: int
) -> None: ...
def add(plan: Plan, name: str, x: int, y: int, z: int, size: int) -> None: ...
def multiply(plan: Plan, name: str, x: int, y: int, z: int, size: int) -> None: ...
def extremum(plan: Plan, name: str, sign: float, x: int, y: int, z: int, size: int) -> None: ...
def extremum_gradient(
    plan: Plan,
    name: str,
    sign: float,
    delta: int,
    x: int,
    y: int,
    x_delta: int,
    y_delta: int,
    size: int,
) -> None: ...
def copy_runs(
    plan: Plan,
    name: str,
    x: int,
    x_begin: int,
    x_step: int,
    y: int,
    y_begin: int,
    y_step: int,
    count: int,
    length: int,
) -> None: ...
def take(plan: Plan, name: str, moves: Moves, fill: float, x: int, y: int) -> None: ...
def rescale(
    plan: Plan,
    name: str,
    x: int,
    y: int,
    scale: list[float],
    offset: list[float],
    positions: int,
) -> None: ...
def scale(
    plan: Plan, name: str, x: int, gamma: int, y: int, positions: int, channels: int
) -> None: ...
def scale_gradient(
    plan: Plan, name: str, x: int, delta: int, gradient: int, positions: int, channels: int
) -> None: ...
def block_moments(plan: Plan, name: str, x: int, positions: int, channels: int) -> int: ...
def channel_moments(
    plan: Plan, name: str, moments: int, mean: int, variance: int, positions: int, channels: int
) -> None: ...
def block_gradient_sums(
    plan: Plan, name: str, delta: int, x: int, mean: int, positions: int, channels: int
) -> int: ...
def normalization_sums(
    plan: Plan,
    name: str,
    sums: int,
    variance: int,
    gamma_gradient: int,
    beta_gradient: int,
    epsilon: float,
    channels: int,
) -> None: ...
def normalization_coefficients(
    plan: Plan,
    name: str,
    mean: int,
    variance: int,
    gamma: int,
    beta: int,
    epsilon: float,
    channels: int,
) -> int: ...
def normalize(
    plan: Plan,
    name: str,
    coefficients: int,
    x: int,
    y: int,
    positions: int,
    channels: int,
    residual: int = -1,
    activation: Activation = Activation.linear,
    parameters: Sequence[float] = (),
) -> None: ...
def batch_normalize_gradient_coefficients(
    plan: Plan,
    name: str,
    mean: int,
    variance: int,
    gamma: int,
    gamma_gradient: int,
    beta_gradient: int,
    epsilon: float,
    positions: int,
    channels: int,
) -> int: ...
def batch_normalize_gradient(
    plan: Plan,
    name: str,
    coefficients: int,
    delta: int,
    x: int,
    x_delta: int,
    positions: int,
    channels: int,
) -> None: ...
def dropout(
    plan: Plan, name: str, x: int, y: int, random: int, units: int, rate: float, layer: int
) -> None: ...
def spatial_dropout(
    plan: Plan,
    name: str,
    x: int,
    y: int,
    random: int,
    positions: int,
    channels: int,
    rate: float,
    layer: int,
) -> None: ...
def gaussian_noise(
    plan: Plan, name: str, x: int, y: int, random: int, units: int, stddev: float, layer: int
) -> None: ...
def standardize(
    plan: Plan, name: str, outer: int, sets: int, inner: int, epsilon: float, x: int, y: int
) -> None: ...
def standardize_gradient(
    plan: Plan,
    name: str,
    outer: int,
    sets: int,
    inner: int,
    epsilon: float,
    delta: int,
    x: int,
    x_delta: int,
) -> None: ...
def local_response_normalization(
    plan: Plan,
    name: str,
    radius: int,
    bias: float,
    alpha: float,
    beta: float,
    x: int,
    y: int,
    positions: int,
    channels: int,
) -> None: ...
def local_response_normalization_gradient(
    plan: Plan,
    name: str,
    radius: int,
    bias: float,
    alpha: float,
    beta: float,
    delta: int,
    x: int,
    x_delta: int,
    positions: int,
    channels: int,
) -> None: ...
def clear(plan: Plan, name: str, slot: int, size: int) -> None: ...
def add_up(plan: Plan, name: str, gradient: int) -> None: ...

class FillMode(Enum):
    constant = ...
    nearest = ...
    reflect = ...
    wrap = ...

def parameter_words(
    seed: int,
    epoch: int,
    operations: np.ndarray,
    images: np.ndarray,
    words: np.ndarray,
    instruction_set: str,
) -> None: ...
def warp(
    x: np.ndarray,
    y: np.ndarray,
    images: np.ndarray,
    changes: np.ndarray,
    taps: np.ndarray,
    draw: tuple[int, int, int],
    fill_mode: FillMode,
    fill_value: float,
    nearest: bool,
    instruction_set: str,
    threads: int,
) -> None: ...
def add_noise(
    x: np.ndarray,
    y: np.ndarray,
    images: np.ndarray,
    draw: tuple[int, int, int],
    stddev: float,
    instruction_set: str,
    threads: int,
) -> None: ...
def erase(
    y: np.ndarray,
    images: np.ndarray,
    boxes: np.ndarray,
    draw: tuple[int, int, int],
    noise: bool,
    value: float,
    scale: float,
    low: float,
    high: float,
    instruction_set: str,
    threads: int,
) -> None: ...
