"""The engine: a network is planned into a program, and an executor runs it."""

from convlet.engine.builder import Builder
from convlet.engine.execute import executor_for, run
from convlet.engine.planner import Head, plan, plan_heads
from convlet.engine.program import Buffer, Instruction, Program
from convlet.engine.variable import Variable

__all__ = [
    "Buffer",
    "Builder",
    "Head",
    "Instruction",
    "Program",
    "Variable",
    "executor_for",
    "plan",
    "plan_heads",
    "run",
]
