"""The README's example runs as it stands."""

import re
import textwrap
from pathlib import Path

import pytest

from convlet import load_model

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_example_trains_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = README.read_text()
    example = re.search(r"    import convlet\n.*?model\.save\(.*?\)\n", text, re.DOTALL)
    assert example is not None
    monkeypatch.chdir(tmp_path)
    code = textwrap.dedent(example[0]).replace("epochs=20", "epochs=1, verbose=0")
    exec(compile(code, str(README), "exec"), {})
    assert load_model("digits.safetensors").output_shape == (None, 10)
