"""Golden stream, cycle model and emitted Verilog agree on every bit."""

import pytest
from hwmodel_levels import CycleLevel, IcarusLevel, VerilatorLevel


class TestCycleModel(CycleLevel):
    pass


class TestIcarus(IcarusLevel):
    pass


@pytest.mark.slow
class TestVerilator(VerilatorLevel):
    pass
