"""Bad input is refused with the law, the values and the fix."""

from pathlib import Path

import pytest

from hwmodel import (
    BoxMuller,
    Clt,
    InverseCdf,
    Lfsr,
    LfsrBank,
    Multiplier,
    Pool,
    Replicate,
    TreeGrng,
    WallaceHadamard,
    asic_area,
    get_design,
    load_technology,
    score,
    simulate_verilog,
)


@pytest.mark.parametrize(
    ("make", "law", "value"),
    [
        (lambda: LfsrBank(bits=40), "2 <= bits <= 24", "bits=40"),
        (lambda: LfsrBank(num_rngs=16, bits=4), "num_rngs <= 2**bits - 1", "num_rngs=16"),
        (lambda: LfsrBank(num_rngs=3, bits=4, leap=5), "gcd(leap, 2**bits - 1) == 1", "leap=5"),
        (lambda: LfsrBank(rotation="rign"), "rotation in", "did you mean 'ring'"),
        (lambda: Pool(size=1), "2 <= size", "size=1"),
        (lambda: Pool(size=8, lanes=8), "lanes < size", "lanes=8"),
        (lambda: Pool(size=9000, bits=8, lanes=8300), "lanes * bits <= 65664", "lanes=8300"),
        (lambda: Pool(bits=0), "1 <= bits <= 24", "bits=0"),
        (lambda: Clt(terms=1), "2 <= terms <= 64", "terms=1"),
        (lambda: Lfsr(taps=(8, 4)), "primitive polynomial", "taps=(8, 4)"),
        (lambda: Lfsr(taps=(7, 6)), "degree `state bits`", "taps=(7, 6)"),
        (lambda: Lfsr(bits=9), "1 <= bits <= state_bits", "bits=9"),
        (lambda: InverseCdf(address_bits=15), "address_bits <= 14", "address_bits=15"),
        (lambda: BoxMuller(radius_bits=11), "radius_bits <= 10", "radius_bits=11"),
        (lambda: WallaceHadamard(depth=9), "depth % 2 == 0", "depth=9"),
        (lambda: TreeGrng(bits=11), "2 <= bits <= 10", "bits=11"),
        (lambda: Multiplier(design=Pool(), factor=0), "1 <= factor", "factor=0"),
        (lambda: Multiplier(design=Clt()).verilog(), "design is uniform", "clt"),
        (lambda: asic_area(Pool(), "sky130-fitted"), "bram == 0", "bram=1.0"),
        (lambda: asic_area(Clt(), "rapidsilicon-published"), 'fabric == "asic"', "fpga"),
        (lambda: score(Clt(), "sky130", 100, num_weights=9), "technology with", "sky130-fitted"),
        (lambda: score(Clt(), "xc7-yosys", 100, num_weights=9), "energies in", "'xc7-yosys'"),
        (lambda: simulate_verilog(Clt(), 9, simulator="iverilog"), "simulator in", "iverilog"),
        (lambda: get_design("lfsr:taps=(8,x)"), "taps is an integer", "taps=x"),
        (lambda: Clt(bits=8, state_bits=4), "bits <= state_bits", "state_bits=4"),
        (lambda: Replicate(design=Clt(), lanes=0), "lanes >= 1", "lanes=0"),
        (lambda: Pool().codes(-1, 3), "start >= 0", "start=-1"),
        (lambda: Pool().audit(0), "num_weights >= 1", "num_weights=0"),
        (lambda: Pool().simulate(0), "cycles >= 1", "cycles=0"),
        (lambda: get_design("bank-31x9"), "design in", "did you mean 'bank-31x8'"),
        (lambda: get_design("pool:sise=31"), "field of pool in", "did you mean 'size'"),
        (lambda: get_design("pool:size=big"), "size is an integer", "size=big"),
        (lambda: get_design("pool:31"), "field=value", "31"),
        (lambda: get_design("replicate:lanes=2"), "replicate is told its design", "lanes=2"),
        (lambda: get_design("pool:size=8,lanes=9"), "lanes < size", "lanes=9"),
        (
            lambda: simulate_verilog(Clt(), 9, vcd=Path("nowhere", "waves")),
            "the folder of vcd exists",
            "nowhere",
        ),
        (lambda: load_technology("rapidsilikon"), "technology in", "rapidsilicon-published"),
        (lambda: Pool().power(technology="x", clock_mhz=1), "technology with", "'x'"),
        (
            lambda: Pool().power(technology="rapidsilicon-published", clock_mhz=0),
            "clock_mhz > 0",
            "clock_mhz=0",
        ),
    ],
)
def test_refused(make, law, value):
    with pytest.raises(ValueError) as refused:
        make()
    message = str(refused.value)
    assert law in message
    assert value in message


def test_there_is_no_silent_default_for_a_physical_constant():
    with pytest.raises(ValueError, match="lut_togle"):
        load_technology("rapidsilicon-published")["lut_togle"]
