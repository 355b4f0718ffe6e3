"""Pieces of Verilog-2001 text from which the designs build their modules."""

from collections.abc import Sequence

from hwmodel.xor_network import Rows, bits_of, shared_rows, xor_network

# Before a module whose border no synthesis may cross.
KEPT = '(* keep_hierarchy = "yes" *)'


def module(name: str, *, bus_bits: int, body: list[str]) -> str:
    """Return a module with ``clk``, ``rst``, ``en``, ``out`` and the given body lines."""
    head = [
        f"module {name} (",
        "  input wire clk,",
        "  input wire rst,",
        "  input wire en,",
        f"  output wire [{bus_bits - 1}:0] out",
        ");",
    ]
    return "\n".join([*head, *(f"  {line}" for line in body), "endmodule", ""])


def kept(text: str) -> str:
    """Return Verilog whose last module, the top of what it describes, is kept as a module."""
    place = text.rindex("module ", 0, text.rindex("endmodule"))
    return f"{text[:place]}{KEPT}\n{text[place:]}"


def literal(value: int, *, bits: int) -> str:
    """Return an unsigned sized literal."""
    return f"{bits}'h{value:x}"


def part(bus: str, place: int, *, width: int) -> str:
    """Return word ``place`` of a bus of words of ``width`` bits."""
    return f"{bus}[{place * width + width - 1}:{place * width}]"


def linear_function(name: str, rows: Rows) -> list[str]:
    """Return a function that applies a map over GF(2), given by its rows.

    If there are shared rows, they are its second argument; see ``shared_module``.
    """
    width, shared = len(rows), shared_rows(rows)
    lines = []
    for xor in xor_network(rows):
        terms = [f"x[{i}]" for i in xor.inputs]
        if xor.row in shared:
            terms = [f"shared[{shared.index(xor.row)}]"]
        if xor.base is not None:
            terms.append(f"shared[{shared.index(xor.base)}]")
        lines.append(f"    {name}[{xor.row}] = {' ^ '.join(terms)};")
    second = f", input [{len(shared) - 1}:0] shared" if shared else ""
    return [
        f"function [{width - 1}:0] {name}(input [{width - 1}:0] x{second});",
        "  begin",
        *lines,
        "  end",
        "endfunction",
    ]


def shared_module(name: str, rows: Rows) -> str:
    """Return a module of the rows that others are built on, or nothing if there are none.

    Its hierarchy is kept because Yosys weighs a LUT by its inputs (2, 3 or 5): splitting a shared
    row into a pair and the rest weighs the same and takes half as many LUTs again.
    """
    shared = shared_rows(rows)
    if not shared:
        return ""
    return "\n".join(
        [
            KEPT,
            f"module {name} (",
            f"  input wire [{len(rows) - 1}:0] x,",
            f"  output wire [{len(shared) - 1}:0] shared",
            ");",
            *(
                f"  assign shared[{place}] = {' ^ '.join(f'x[{i}]' for i in bits_of(rows[row]))};"
                for place, row in enumerate(shared)
            ),
            "endmodule",
            "",
        ]
    )


def table_function(name: str, table: Sequence[int], *, index_bits: int, width: int) -> list[str]:
    """Return a function that looks a word up; logic synthesis turns it into LUTs."""
    return [
        f"function [{width - 1}:0] {name}(input [{index_bits - 1}:0] i);",
        "  case (i)",
        *(
            f"    {place}: {name} = {literal(word, bits=width)};"
            for place, word in enumerate(table)
        ),
        "  endcase",
        "endfunction",
    ]


def table_module(name: str, table: Sequence[int], *, index_bits: int, width: int) -> str:
    """Return a kept module with input ``i`` and output ``word`` that looks a word up."""
    lines = table_function("look_up", table, index_bits=index_bits, width=width)
    return "\n".join(
        [
            KEPT,
            f"module {name} (",
            f"  input wire [{index_bits - 1}:0] i,",
            f"  output wire [{width - 1}:0] word",
            ");",
            *(f"  {line}" for line in lines),
            "  assign word = look_up(i);",
            "endmodule",
            "",
        ]
    )


def memory(name: str, table: Sequence[int], *, width: int) -> list[str]:
    """Return an initialised block RAM."""
    return [
        f'(* ram_style = "block" *) reg [{width - 1}:0] {name} [0:{len(table) - 1}];',
        "initial begin",
        *(f"  {name}[{place}] = {literal(word, bits=width)};" for place, word in enumerate(table)),
        "end",
    ]


def registers(resets: dict[str, str], nexts: dict[str, str]) -> list[str]:
    """Return one clocked block: synchronous reset first, then enable.

    Args:
        resets: Reset value by register; a register that is missing here is not reset.
        nexts: Next value by register.
    """
    assert resets.keys() <= nexts.keys()
    return [
        "always @(posedge clk)",
        "  if (rst) begin",
        *(f"    {name} <= {value};" for name, value in resets.items()),
        "  end else if (en) begin",
        *(f"    {name} <= {value};" for name, value in nexts.items()),
        "  end",
    ]


def pipeline(nexts: dict[str, str]) -> list[str]:
    """Return one clocked block of registers that need no reset."""
    return [
        "always @(posedge clk)",
        "  if (en) begin",
        *(f"    {name} <= {value};" for name, value in nexts.items()),
        "  end",
    ]


def concat(words: list[str]) -> str:
    """Return a bus with ``words[0]`` in its lowest bits."""
    return "{" + ", ".join(reversed(words)) + "}"
