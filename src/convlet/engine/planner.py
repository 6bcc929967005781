"""Turns the forward instructions of a network into a program: adds the loss and the way back.

The way back is the chain rule, instruction by instruction from the last to the first: each operator
names the operators of its gradients (`convlet.engine.operators`). What nobody needs, such as the
gradient by the images, is never computed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlet.engine.builder import Builder
from convlet.engine.operators import OPERATORS, Gradient, bind
from convlet.engine.program import Buffer, Instruction, Program
from convlet.ops.activations import ELEMENTWISE


@dataclass(frozen=True)
class Head:
    """An output of a network, and what training wants of it.

    Parameters
    ----------
    output : Buffer
        The prediction.
    loss : Loss or None
        None for an output that is only looked at.
    weight : float
        How much the loss counts.
    name : str
        Tells the feeds of several losses apart, ``"targets:name"`` and ``"weights:name"``; the only
        loss's are ``"targets"`` and ``"weights"``.
    """

    output: Buffer
    loss: Any = None
    weight: float = 1.0
    name: str = ""

    def feed(self, kind: str) -> str:
        """Return the name of a feed, ``kind`` being "targets" or "weights"."""
        return f"{kind}:{self.name}" if self.name else kind


def plan(builder: Builder, output: Buffer, loss: Any = None) -> Program:
    """Return the program of a network with one output.

    Parameters
    ----------
    builder : Builder
        If it is for training and there is a loss, the program computes gradients, too.
    output : Buffer
        The prediction.
    loss : Loss or None
        None gives a program for prediction.
    """
    return plan_heads(builder, [Head(output, loss)])


def plan_heads(builder: Builder, heads: Sequence[Head]) -> Program:
    """Return the program of the network that ``builder`` has walked through.

    What training lowers is J = Σ weight * loss, over the heads that have a loss, and penalties.

    Parameters
    ----------
    builder : Builder
        If it is for training and there is a loss, the program computes gradients, too.
    heads : sequence of Head
    """
    outputs = {head.output.name for head in heads}
    _fold_normalizations(builder, outputs)
    _pool_before_activations(builder, outputs)
    losses = [None if head.loss is None else _add_loss(builder, head).name for head in heads]
    forward = tuple(builder.instructions)
    backward: tuple[Instruction, ...] = ()
    gradients: dict[str, str] = {}
    weights = {
        name: head.weight for name, head in zip(losses, heads, strict=True) if name is not None
    }
    weights |= dict.fromkeys(builder.penalties, 1.0)
    if weights and builder.training:
        differentiation = _Differentiation(builder)
        gradients = differentiation.run(forward, weights)
        backward = tuple(differentiation.instructions)
    return Program(
        forward,
        backward,
        dict(builder.buffers),
        tuple(builder.feeds),
        dict(builder.variables),
        gradients,
        tuple(head.output.name for head in heads),
        tuple(losses),
        dict(builder.updates),
        tuple(builder.penalties),
    )


def _fold_normalizations(builder: Builder, outputs: set[str]) -> None:
    """Let convolutions and dense layers do the normalization by given statistics behind them.

    Where nothing is trained, it is linear: it is done once, to the kernel and the bias.
    """
    if builder.training:
        return
    builder.instructions.sort(key=lambda i: i.operator != "tie")  # statistics may be tied, too
    for normalization in [i for i in builder.instructions if i.operator == "normalize"]:
        x, *statistics = normalization.reads
        chain = _only_sources(builder, x, outputs)
        bias = [chain.pop(0)] if chain and chain[0].operator == "add_bias" else []
        if not chain or chain[0].operator not in ("conv", "dense"):
            continue
        convolution, filters = chain[0], builder.buffers[x].shape[-1]
        kernel = convolution.reads[1]
        shapes = {"folded_kernel": builder.buffers[kernel].shape, "folded_bias": (filters,)}
        folded = [Buffer(f"{x}.{name}", shape, False) for name, shape in shapes.items()]
        builder.buffers |= {buffer.name: buffer for buffer in folded}
        reads = (kernel, *statistics, *(i.reads[1] for i in bias))
        names = tuple(buffer.name for buffer in folded)
        fold = replace(normalization, operator="fold_normalization", reads=reads, writes=names)
        y = convolution.writes[0]
        replaced = {
            y: [fold, replace(convolution, reads=(convolution.reads[0], names[0]))],
            normalization.writes[0]: [
                replace(normalization, operator="add_bias", reads=(y, names[1]), attributes={})
            ],
        }
        for instruction in bias:
            replaced[instruction.writes[0]] = []
            del builder.buffers[instruction.writes[0]]
        builder.instructions[:] = [
            new for old in builder.instructions for new in replaced.get(old.writes[0], [old])
        ]


def _only_sources(builder: Builder, name: str, outputs: set[str]) -> list[Instruction]:
    """Return who writes a buffer, and who writes what that reads, if nobody else reads them."""
    sources: list[Instruction] = []
    readers = Counter(read for i in builder.instructions for read in i.reads)
    while len(sources) < 2 and readers[name] == 1 and name not in outputs:
        found = [i for i in builder.instructions if i.writes[0] == name]
        if not found:
            break
        sources += found
        name = found[0].reads[0]
    return sources


def _pool_before_activations(builder: Builder, outputs: set[str]) -> None:
    """Let max pooling go before an activation that is monotone: max f(z) = f(max z).

    There are fewer numbers to apply it to then, and a convolution and its pooling stand side by
    side. The gradient is the same, too: where f is flat, and f(z) has ties that z has not, it is 0.
    """
    instructions = builder.instructions
    for n, activation in enumerate(instructions):
        y = activation.writes[0]
        readers = [number for number, i in enumerate(instructions) if y in i.reads]
        if len(readers) != 1 or y in outputs or not _is_monotone(activation):
            continue
        pool = instructions[readers[0]]
        if pool.operator != "max_pool":
            continue
        # the buffers between and behind the two change places, each keeping the name of its layer
        pooled, behind = builder.buffers[pool.writes[0]], pool.writes[0]
        between = Buffer(f"{pool.writes[0]}.before_activation", pooled.shape)
        builder.buffers[between.name] = between
        del builder.buffers[y]
        instructions[n] = replace(
            pool, reads=activation.reads, writes=(between.name, pool.writes[1])
        )
        instructions[readers[0]] = replace(activation, reads=(between.name,), writes=(behind,))


def _is_monotone(instruction: Instruction) -> bool:
    if instruction.operator not in ("activation", "activation_of_input"):
        return False
    return ELEMENTWISE[instruction.attributes["function"]].monotone


def _add_loss(builder: Builder, head: Head) -> Buffer:
    """Append the loss; where softmax or sigmoid comes last, read what went into it.

    Cross-entropy of a softmax has the gradient p - 1(y = i) by the logits (lecture 001), exact
    where the quotient of nearly vanishing probabilities is not.
    """
    prediction, function = head.output, head.loss
    last = next((i for i in builder.instructions if i.writes[0] == head.output.name), None)
    if last is not None:
        name = last.attributes.get("function", last.operator)
        twin = head.loss.from_logits_twin()
        if twin is not None and name == head.loss.output_activation:
            prediction, function = builder.buffers[last.reads[0]], twin
    targets = builder.feed(head.feed("targets"), ())
    weights = builder.feed(head.feed("weights"), ())
    shape = head.output.shape[:-1]
    with builder.scope(head.feed("loss")):
        return builder.apply("loss", prediction, targets, weights, shape=shape, function=function)


class _Differentiation:
    """Walks the instructions backwards and writes down those of the gradients."""

    def __init__(self, builder: Builder) -> None:
        self.instructions: list[Instruction] = []
        self._buffers = builder.buffers
        self._variables = builder.variables
        # the gradients that flow into a buffer from each place that reads it
        self._flows: defaultdict[str, list[str]] = defaultdict(list)

    def run(self, forward: tuple[Instruction, ...], losses: Mapping[str, float]) -> dict[str, str]:
        """Return the gradient's buffer for each trainable variable that a loss depends on.

        ``losses`` are the weights of the losses by their buffers.
        """
        needed = self._dependents_of_variables(forward)
        for instruction in reversed(forward):
            written = instruction.writes[0]
            delta: str | None
            if written in losses:
                delta = None  # ∂J/∂J = 1, which the loss's own gradient does not read
            elif self._flows[written]:
                delta = self._total(written, instruction.layer)
            else:
                continue
            self._differentiate(instruction, delta, needed)
            if losses.get(written, 1.0) != 1.0:
                self._weigh(instruction, losses[written])
        trainable = [name for name, v in self._variables.items() if v.trainable]
        return {n: self._total(n, n.rpartition("/")[0]) for n in trainable if self._flows[n]}

    def _dependents_of_variables(self, forward: tuple[Instruction, ...]) -> set[str]:
        """Return the buffers whose gradient is needed: trainable variables and what follows."""
        needed = {name for name, variable in self._variables.items() if variable.trainable}
        for instruction in forward:
            if needed.intersection(instruction.reads):
                needed.update(instruction.writes)
        return needed

    def _total(self, name: str, layer: str) -> str:
        """Return the sum of the gradients that flow into a buffer."""
        flows = self._flows[name]
        while len(flows) > 1:
            first, second = flows.pop(0), flows.pop(0)
            total = self._gradient_buffer(name)
            self.instructions.append(Instruction("add", (first, second), (total,), {}, layer))
            flows.insert(0, total)
        return flows[0]

    def _weigh(self, loss: Instruction, weight: float) -> None:
        """Multiply the gradient that a loss has just sent back by the loss's weight."""
        prediction = loss.reads[0]
        if self._flows[prediction]:
            gradient = self._flows[prediction].pop()
            weighted = self._gradient_buffer(prediction)
            attributes = {"scale": np.asarray(weight), "offset": np.zeros(())}
            self.instructions.append(
                Instruction("rescale_gradient", (gradient,), (weighted,), attributes, loss.layer)
            )
            self._flows[prediction].append(weighted)

    def _gradient_buffer(self, name: str) -> str:
        buffer = self._buffers[name]
        unique, number = f"grad({name})", 1
        while unique in self._buffers:
            unique, number = f"grad({name})_{number}", number + 1
        self._buffers[unique] = Buffer(unique, buffer.shape, buffer.per_image)
        return unique

    def _differentiate(self, instruction: Instruction, delta: str | None, needed: set[str]) -> None:
        """Append the gradient operators of an instruction, and note what flows from them where."""
        operator = OPERATORS[instruction.operator]
        operands = bind(operator.reads, instruction.reads)
        known = operands | bind(operator.writes, instruction.writes)
        if delta is not None:
            known["δ"] = (delta,)
        for rule in _needed_rules(operator.gradients, operands, needed):
            targets = [name for operand in rule.of.split() for name in operands[operand]]
            if rule.operator is None:
                self._flows[targets[0]] += known["δ"]
                continue
            reads = tuple(name for operand in rule.reads.split() for name in known[operand])
            writes = tuple(self._gradient_buffer(name) for name in targets)
            self.instructions.append(
                Instruction(rule.operator, reads, writes, instruction.attributes, instruction.layer)
            )
            for target, gradient in zip(targets, writes, strict=True):
                self._flows[target].append(gradient)
            known |= bind(" ".join(f"δ{operand}" for operand in rule.of.split()), writes)


def _needed_rules(
    rules: tuple[Gradient, ...], operands: dict[str, tuple[str, ...]], needed: set[str]
) -> list[Gradient]:
    """Return the rules for gradients that are needed, or that a later needed one reads."""
    chosen: list[Gradient] = []
    read: set[str] = set()
    for rule in reversed(rules):
        of = rule.of.split()
        targets = {name for operand in of for name in operands[operand]}
        if needed & targets or read.intersection(f"δ{operand}" for operand in of):
            chosen.insert(0, rule)
            read.update(rule.reads.split())
    return chosen
